"""Operator commands about providers and the catalog."""

"""Operator commands about organizations."""

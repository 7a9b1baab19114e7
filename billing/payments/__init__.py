"""Prepaid: money that comes in as credit, and goes back."""

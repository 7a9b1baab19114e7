"""Management code of billing."""

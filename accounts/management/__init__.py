"""Management code of accounts."""

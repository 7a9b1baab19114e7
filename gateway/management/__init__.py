"""Management code of gateway."""

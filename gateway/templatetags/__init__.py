"""Template tags of the gateway."""

"""Management commands of the wiring package."""

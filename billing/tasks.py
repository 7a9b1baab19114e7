"""Celery tasks of billing: thin, idempotent, by name."""

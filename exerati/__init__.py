"""Exerati: wiring of the four apps into one product; no product logic lives here."""

from exerati.celery import app as celery_app

__all__ = ["celery_app"]

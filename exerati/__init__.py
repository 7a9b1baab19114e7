"""Exerati: wiring of the four apps into one product; no product logic lives here."""

import gc

from exerati.celery import app as celery_app

__all__ = ["celery_app"]

# Every process makes some 160,000 objects that stay, and hardly any rings that only the collector could free. Python's
# own thresholds (700, 10, 10) let it look through them for a sixth of a start and a tenth of a call.
gc.set_threshold(20_000, 20, 50)

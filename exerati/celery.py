"""The Celery application; beat only wakes due work, the truth stays in PostgreSQL."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "exerati.settings.base")

app = Celery("exerati")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()

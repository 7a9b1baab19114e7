"""Settings of the test suite: fast hashers, eager tasks, mail kept in memory."""

import os
from urllib.parse import urlsplit

from exerati.settings.base import *  # noqa: F403  the point of this file is to start from all of base

DEBUG = False
SECRET_KEY = "test-secret-key"
KEY_PEPPER = b"test-pepper"
FIELD_KEY = b"test-field-key"
ALLOWED_HOSTS = ["*"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
CELERY_TASK_ALWAYS_EAGER = True
CELERY_TASK_EAGER_PROPAGATES = True
for provider in SOCIALACCOUNT_PROVIDERS.values():  # noqa: F405  tests/social_cast.py stands in for them
    provider["APP"] = {"client_id": "client-of-tests", "secret": "secret-of-tests"}
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}

# Each worker of the test run has its own database in Redis, as it has in PostgreSQL.
worker_number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
REDIS_URL = urlsplit(REDIS_URL)._replace(path=f"/{worker_number}").geturl()  # noqa: F405  from base
CELERY_BROKER_URL = REDIS_URL

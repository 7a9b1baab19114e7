"""Settings of the test suite: fast hashers, eager tasks, mail kept in memory."""

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
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}

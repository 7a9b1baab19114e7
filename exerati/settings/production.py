"""Tightens base for production: required secrets, TLS, HSTS. Adds no setting of its own."""

from django.core.exceptions import ImproperlyConfigured

from exerati.settings.base import *  # noqa: F403  production is base, tightened

for name, secret in (
    ("EXERATI_SECRET_KEY", env.secret_key),  # noqa: F405  from base
    ("EXERATI_KEY_PEPPER", env.key_pepper),  # noqa: F405
    ("EXERATI_FIELD_KEY", env.field_key),  # noqa: F405
):
    if len(secret.get_secret_value()) < 32:
        raise ImproperlyConfigured(f"Set {name} to at least 32 random characters.")
if not env.allowed_hosts:  # noqa: F405
    raise ImproperlyConfigured("Set EXERATI_ALLOWED_HOSTS to the names this site answers to.")
if env.stripe_api_base:  # noqa: F405
    raise ImproperlyConfigured("EXERATI_STRIPE_API_BASE is for tests and the demo: unset it.")

DEBUG = False
COMMITS_MUST_BE_DURABLE = True
SECURE_SSL_REDIRECT = True
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_HSTS_SECONDS = 31_536_000
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
SECURE_HSTS_PRELOAD = True
SESSION_COOKIE_SECURE = True
CSRF_COOKIE_SECURE = True
STAFF_NEED_SECOND_FACTOR = True

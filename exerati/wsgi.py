"""WSGI entry point for the web part alone; the gateway needs ASGI."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "exerati.settings.base")

application = get_wsgi_application()

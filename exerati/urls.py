"""The URL table of the site; `/v1` is answered by the gateway's own handler before it gets here."""

from django.contrib import admin
from django.urls import URLPattern, URLResolver, path

urlpatterns: list[URLPattern | URLResolver] = [
    path("admin/", admin.site.urls),
]

"""The URL table of the site; `/v1` is answered by the gateway's own handler before it gets here."""

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path

import accounts.urls
import apikeys.urls
import billing.management_api.api_urls
import billing.urls
import gateway.urls
from exerati import views
from exerati.health import healthz, readyz
from gateway.catalog import catalog_pages

# The pages of one organization, from the apps that own them: `dashboard:<name>`, `/dashboard/<slug>/…`.
dashboard_patterns: list[URLPattern] = [
    *accounts.urls.dashboard_patterns,
    *apikeys.urls.dashboard_patterns,
    *billing.urls.dashboard_patterns,
    *gateway.urls.dashboard_patterns,
]

urlpatterns: list[URLPattern | URLResolver] = [
    path("", views.landing, {"offer": catalog_pages.offer}, name="landing"),
    path("legal/<slug:page>/", views.legal, name="legal"),
    path("healthz", healthz),
    path("readyz", readyz),
    path("theme", views.theme, name="theme"),
    path("rows", views.rows, name="rows"),
    path("styleguide/", views.styleguide, name="styleguide"),
    path("", include(accounts.urls)),
    path("", include(gateway.urls)),
    path("", include(apikeys.urls)),
    path("", include(billing.urls)),
    path("api/", include(billing.management_api.api_urls)),
    path("dashboard/", include((dashboard_patterns, "dashboard"))),
    path("admin/hijack/", include("hijack.urls")),
    path("admin/", admin.site.urls),
]

handler400 = "exerati.views.bad_request"
handler403 = "exerati.views.permission_denied"
handler404 = "exerati.views.page_not_found"
handler429 = "exerati.views.too_many_requests"  # read by allauth
handler500 = "exerati.views.server_error"

"""Addresses of the catalog, the prices, the status page and the documentation."""

from django.urls import URLPattern, path

from gateway.catalog import catalog_feeds, pricing_views, views
from gateway.console import key_test_views, limits_views, palette_views, playground_views
from gateway.documentation import docs_views, site_map
from gateway.service_status import status_views

urlpatterns: list[URLPattern] = [
    path("models/", views.catalog, name="catalog"),
    path("models/compare/", views.compare, name="compare"),
    path("models.json", catalog_feeds.as_json, name="catalog_json"),
    path("models.rss", catalog_feeds.as_rss, name="catalog_rss"),
    path("models/<path:name>/", views.model_page, name="model_page"),
    path("pricing", pricing_views.page, name="pricing"),
    path("status", status_views.page, name="status"),
    path("status.json", status_views.as_json, name="status_json"),
    path("docs/", docs_views.home, name="docs"),
    path("docs/search", docs_views.search, name="docs_search"),
    path("docs/changelog.rss", docs_views.changelog_feed, name="docs_changelog_feed"),
    path("docs/<slug:slug>", docs_views.page, name="docs_page"),
    path("docs/<slug:slug>.md", docs_views.page_markdown, name="docs_markdown"),
    path("robots.txt", site_map.robots, name="robots"),
    path("sitemap.xml", site_map.site_map, name="site_map"),
    path("llms.txt", docs_views.llms, name="llms"),
    path("llms-full.txt", docs_views.llms_full, name="llms_full"),
]
dashboard_patterns: list[URLPattern] = [
    path("<slug:slug>/keys/<str:public_id>/test/", key_test_views.key_test, name="key_test"),
    path("<slug:slug>/palette/", palette_views.palette, name="palette"),
    path("<slug:slug>/limits/", limits_views.limits, name="limits"),
    path("<slug:slug>/limits/try/", limits_views.limits_try, name="limits_try"),
    path("-/playground/", playground_views.own_playground, name="own_playground"),
    path("<slug:slug>/playground/", playground_views.page, name="playground"),
    path("<slug:slug>/playground/answer/", playground_views.answer, name="playground_answer"),
    path("<slug:slug>/first-call/run/", playground_views.first_call_run, name="first_call_run"),
    path("<slug:slug>/playground/call", playground_views.call, name="playground_call"),
]

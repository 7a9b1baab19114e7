"""Addresses of the catalog and the documentation."""

from django.urls import URLPattern, path

from gateway import docs_views, playground_views, views

urlpatterns: list[URLPattern] = [
    path("models/", views.catalog, name="catalog"),
    path("models/<path:name>/", views.model_page, name="model_page"),
    path("docs/", docs_views.home, name="docs"),
    path("docs/<slug:slug>", docs_views.page, name="docs_page"),
    path("docs/<slug:slug>.md", docs_views.page_markdown, name="docs_markdown"),
    path("llms.txt", docs_views.llms, name="llms"),
]
dashboard_patterns: list[URLPattern] = [
    path("<slug:slug>/playground/", playground_views.page, name="playground"),
    path("<slug:slug>/playground/answer/", playground_views.answer, name="playground_answer"),
    path("<slug:slug>/playground/call", playground_views.call, name="playground_call"),
]

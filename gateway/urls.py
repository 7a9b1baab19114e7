"""Addresses of the catalog and the documentation."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
dashboard_patterns: list[URLPattern] = []

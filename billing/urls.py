"""Addresses of the dashboard pages about usage and money."""

from django.urls import URLPattern

dashboard_patterns: list[URLPattern] = []

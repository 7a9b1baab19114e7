"""Addresses of the management API."""

from django.urls import URLPattern, path
from drf_spectacular.views import SpectacularJSONAPIView

from billing.management_api import api

urlpatterns: list[URLPattern] = [
    path("usage", api.Usage.as_view(), name="api_usage"),
    path("usage/requests", api.UsageRequests.as_view(), name="api_requests"),
    path("balance", api.BalanceNow.as_view(), name="api_balance"),
    path("ledger", api.Ledger.as_view(), name="api_ledger"),
    path("keys", api.Keys.as_view(), name="api_keys"),
    path("schema", SpectacularJSONAPIView.as_view(), name="api_schema"),
]

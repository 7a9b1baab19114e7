"""Addresses of the dashboard pages about usage and money, and of Stripe's webhooks."""

from django.urls import URLPattern, path

from billing import (
    billing_views,
    notification_views,
    request_views,
    usage_views,
    views,
    webhooks,
)

urlpatterns: list[URLPattern] = [
    path("stripe/webhook", webhooks.receive, name="stripe_webhook"),
]

dashboard_patterns: list[URLPattern] = [
    path("<slug:slug>/", views.overview, name="overview"),
    path("<slug:slug>/first-call/", views.first_call, name="first_call"),
    path("<slug:slug>/usage/", usage_views.usage, name="usage"),
    path("<slug:slug>/usage.csv", usage_views.usage_csv_file, name="usage_csv"),
    path("<slug:slug>/requests/", request_views.request_list, name="requests"),
    path("<slug:slug>/requests/<str:public_id>/", request_views.request_detail, name="request"),
    path("<slug:slug>/notifications/", notification_views.notifications, name="notifications"),
    path("<slug:slug>/billing/", billing_views.billing, name="billing"),
    path(
        "<slug:slug>/notifications/read/",
        notification_views.notifications_read,
        name="notifications_read",
    ),
    path(
        "<slug:slug>/notifications/settings/",
        notification_views.alert_settings,
        name="alert_settings",
    ),
]

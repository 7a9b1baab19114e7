"""Addresses of the dashboard pages about usage and money."""

from django.urls import URLPattern, path

from billing import notification_views, request_views, views

dashboard_patterns: list[URLPattern] = [
    path("<slug:slug>/", views.overview, name="overview"),
    path("<slug:slug>/first-call/", views.first_call, name="first_call"),
    path("<slug:slug>/usage/", views.usage, name="usage"),
    path("<slug:slug>/usage.csv", views.usage_csv, name="usage_csv"),
    path("<slug:slug>/requests/", request_views.request_list, name="requests"),
    path("<slug:slug>/requests/<str:public_id>/", request_views.request_detail, name="request"),
    path("<slug:slug>/notifications/", notification_views.notifications, name="notifications"),
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

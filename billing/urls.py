"""Addresses of the dashboard pages about usage and money, and of Stripe's webhooks."""

from django.urls import URLPattern, path

from billing import webhooks
from billing.console import (
    auto_topup_views,
    billing_views,
    body_views,
    closing_views,
    invoice_views,
    leaving_views,
    ledger_views,
    member_views,
    model_budget_views,
    notification_views,
    request_page_views,
    request_views,
    usage_views,
    views,
)

urlpatterns: list[URLPattern] = [
    path("account/delete/", leaving_views.account_delete, name="account_delete"),
    path("stripe/webhook", webhooks.receive, name="stripe_webhook"),
]

dashboard_patterns: list[URLPattern] = [
    path("-/invoices/", invoice_views.own_invoices, name="own_invoices"),
    path("-/billing/", invoice_views.own_billing, name="own_billing"),
    path("<slug:slug>/invoices/", invoice_views.invoices, name="invoices"),
    path("<slug:slug>/invoices/<str:public_id>/", invoice_views.invoice, name="invoice"),
    path("<slug:slug>/invoices/<str:public_id>.csv", invoice_views.invoice_csv, name="invoice_csv"),
    path("<slug:slug>/", views.overview, name="overview"),
    path("<slug:slug>/first-call/", views.first_call, name="first_call"),
    path(
        "<slug:slug>/team/<str:public_id>/budget/", member_views.member_budget, name="member_budget"
    ),
    path(
        "<slug:slug>/keys/<str:public_id>/models/",
        model_budget_views.model_budgets,
        name="key_models",
    ),
    path("<slug:slug>/usage/", usage_views.usage, name="usage"),
    path("<slug:slug>/usage.csv", usage_views.usage_csv_file, name="usage_csv"),
    path("<slug:slug>/requests/", request_views.request_list, name="requests"),
    path("<slug:slug>/requests/tail/", request_views.request_tail, name="request_tail"),
    path("<slug:slug>/requests/views/save/", request_views.view_save, name="view_save"),
    path("<slug:slug>/requests/views/delete/", request_views.view_delete, name="view_delete"),
    path("<slug:slug>/requests/bodies/", body_views.body_settings, name="body_settings"),
    path("<slug:slug>/requests/bodies/days/", body_views.body_days, name="body_days"),
    path(
        "<slug:slug>/requests/<str:public_id>/", request_page_views.request_detail, name="request"
    ),
    path(
        "<slug:slug>/requests/<str:public_id>/body/", body_views.request_body, name="request_body"
    ),
    path("<slug:slug>/notifications/", notification_views.notifications, name="notifications"),
    path("<slug:slug>/billing/", billing_views.billing, name="billing"),
    path("<slug:slug>/billing/top-ups/", billing_views.topup_begin, name="topup_begin"),
    path("<slug:slug>/billing/top-ups/<uuid:uuid>/", billing_views.topup, name="topup"),
    path(
        "<slug:slug>/billing/top-ups/<uuid:uuid>/refund/",
        billing_views.topup_refund,
        name="topup_refund",
    ),
    path("<slug:slug>/billing/close/", closing_views.close, name="close"),
    path(
        "<slug:slug>/billing/settings/references/",
        closing_views.change_references,
        name="references",
    ),
    path("<slug:slug>/billing/cards/", billing_views.portal, name="portal"),
    path("<slug:slug>/billing/ledger/", ledger_views.ledger, name="ledger"),
    path("<slug:slug>/billing/ledger.csv", ledger_views.ledger_csv, name="ledger_csv"),
    path("<slug:slug>/billing/ledger/calls/", ledger_views.ledger_calls, name="ledger_calls"),
    path(
        "<slug:slug>/billing/settings/",
        auto_topup_views.billing_settings,
        name="billing_settings",
    ),
    path(
        "<slug:slug>/billing/settings/off/",
        auto_topup_views.auto_topup_off,
        name="auto_topup_off",
    ),
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

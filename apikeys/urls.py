"""Addresses of the dashboard pages about keys."""

from django.urls import URLPattern, path

from apikeys import rotation_views, views

dashboard_patterns: list[URLPattern] = [
    path("<slug:slug>/keys/", views.key_list, name="keys"),
    path("<slug:slug>/keys/new/", views.key_create, name="key_create"),
    path("<slug:slug>/keys/<str:public_id>/", views.key_detail, name="key"),
    path("<slug:slug>/keys/<str:public_id>/update/", views.key_update, name="key_update"),
    path("<slug:slug>/keys/<str:public_id>/disable/", views.key_disable, name="key_disable"),
    path("<slug:slug>/keys/<str:public_id>/enable/", views.key_enable, name="key_enable"),
    path("<slug:slug>/keys/<str:public_id>/revoke/", views.key_revoke, name="key_revoke"),
    path("<slug:slug>/keys/<str:public_id>/rotate/", rotation_views.key_rotate, name="key_rotate"),
    path(
        "<slug:slug>/keys/<str:public_id>/rotate/end/",
        rotation_views.key_old_secret_end,
        name="key_old_secret_end",
    ),
]

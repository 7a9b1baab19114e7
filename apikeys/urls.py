"""Addresses of the dashboard pages about keys, and of reports of leaked ones."""

from django.urls import URLPattern, path

from apikeys import api, project_views, rotation_views, views

urlpatterns: list[URLPattern] = [
    path("leaks/report", api.report_leaks, name="leak_report"),
]

dashboard_patterns: list[URLPattern] = [
    path("<slug:slug>/projects/", project_views.project_list, name="projects"),
    path("<slug:slug>/projects/new/", project_views.project_create, name="project_create"),
    path("<slug:slug>/projects/<str:public_id>/", project_views.project_detail, name="project"),
    path(
        "<slug:slug>/projects/<str:public_id>/update/",
        project_views.project_update,
        name="project_update",
    ),
    path(
        "<slug:slug>/projects/<str:public_id>/archive/",
        project_views.project_archive,
        name="project_archive",
    ),
    path(
        "<slug:slug>/projects/<str:public_id>/restore/",
        project_views.project_restore,
        name="project_restore",
    ),
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

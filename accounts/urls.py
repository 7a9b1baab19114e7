"""Addresses of sign-up and login, and of the dashboard pages about people and the organization."""

from allauth.account import views as account_views
from django.urls import URLPattern, URLResolver, include, path

from accounts import views

urlpatterns: list[URLPattern | URLResolver] = [
    path("account/", include("allauth.urls")),
    # After allauth's own table: the last pattern of a name is the one that `reverse` gives.
    path("register", account_views.signup, name="account_signup"),
    path("login", account_views.login, name="account_login"),
    path("logout", account_views.logout, name="account_logout"),
]

dashboard_patterns: list[URLPattern] = [
    path("", views.home, name="home"),
    path("new/", views.organization_create, name="organization_create"),
    path("<slug:slug>/team/", views.team, name="team"),
    path("<slug:slug>/team/<str:public_id>/role/", views.member_role, name="member_role"),
    path("<slug:slug>/team/<str:public_id>/remove/", views.member_remove, name="member_remove"),
    path("<slug:slug>/settings/", views.settings, name="settings"),
]

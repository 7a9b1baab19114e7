"""Addresses of sign-up and login, and of the dashboard pages about people and the organization."""

from allauth.account import views as account_views
from allauth.mfa.totp import views as totp_views
from allauth.mfa.webauthn import views as webauthn_views
from allauth.socialaccount import views as connection_views
from django.urls import URLPattern, URLResolver, include, path

from accounts import (
    audit_views,
    invitation_views,
    own_data_views,
    profile_views,
    session_views,
    social_views,
    team_views,
    views,
)
from accounts.once_more import once_more

# What allauth would let people do without asking once more who came by Google or GitHub; before allauth's own table.
_asked_once_more: list[URLPattern] = [
    path("email/", once_more(account_views.email)),
    path("password/set/", once_more(account_views.password_set)),
    path("2fa/totp/activate/", once_more(totp_views.activate_totp)),
    path("2fa/webauthn/add/", once_more(webauthn_views.add_webauthn)),
    path("connections/", once_more(connection_views.connections)),
]

urlpatterns: list[URLPattern | URLResolver] = [
    path("account/profile/", profile_views.profile, name="profile"),
    path("account/data/", own_data_views.page, name="own_data"),
    path("account/data.json", own_data_views.file, name="own_data_file"),
    path("account/sessions/end/", session_views.session_end, name="session_end"),
    path("account/", include(_asked_once_more)),
    path("account/", include("allauth.account.urls")),
    path("account/2fa/", include("allauth.mfa.urls")),
    path("account/sessions/", include("allauth.usersessions.urls")),
    path("account/connections/", include("allauth.socialaccount.urls")),
    path("account/google/login/", social_views.google_login, name="google_login"),
    path("account/google/login/callback/", social_views.google_callback, name="google_callback"),
    path("account/github/login/", social_views.github_login, name="github_login"),
    path("account/github/login/callback/", social_views.github_callback, name="github_callback"),
    # After allauth's own table: the last pattern of a name is the one that `reverse` gives.
    path("register", account_views.signup, name="account_signup"),
    path("login", account_views.login, name="account_login"),
    path("logout", account_views.logout, name="account_logout"),
    path(
        "invitations/<str:public_id>/<str:token>/", invitation_views.invitation, name="invitation"
    ),
]

dashboard_patterns: list[URLPattern] = [
    path("", views.home, name="home"),
    path("new/", views.organization_create, name="organization_create"),
    path("<slug:slug>/team/", team_views.team, name="team"),
    path("<slug:slug>/team/leave/", team_views.leave, name="leave"),
    path("<slug:slug>/team/second-factor/", team_views.second_factor, name="second_factor"),
    path("<slug:slug>/team/audit/", audit_views.audit, name="audit"),
    path("<slug:slug>/team/audit.csv", audit_views.audit_csv, name="audit_csv"),
    path("<slug:slug>/team/invite/", invitation_views.invitation_create, name="invite"),
    path(
        "<slug:slug>/team/invitations/<str:public_id>/resend/",
        invitation_views.invitation_resend,
        name="invitation_resend",
    ),
    path(
        "<slug:slug>/team/invitations/<str:public_id>/withdraw/",
        invitation_views.invitation_withdraw,
        name="invitation_withdraw",
    ),
    path("<slug:slug>/team/<str:public_id>/role/", team_views.member_role, name="member_role"),
    path("<slug:slug>/team/<str:public_id>/owner/", team_views.member_owner, name="member_owner"),
    path(
        "<slug:slug>/team/<str:public_id>/remove/", team_views.member_remove, name="member_remove"
    ),
    path("<slug:slug>/settings/", views.settings, name="settings"),
]

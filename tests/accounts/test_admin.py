"""The Django admin: every model is there, money is read-only, the door is the site's own login."""

import pytest
from allauth.mfa.models import Authenticator
from django.apps import apps
from django.contrib import admin
from django.test import RequestFactory
from django.urls import reverse

from billing.models import (
    Adjustment,
    BillingAccount,
    BudgetRaise,
    MarkupRule,
    ProviderCostImport,
    ReconItem,
    Refund,
)
from exerati.settings.env import BASE_DIR
from tests import factories
from tests.cast import signed_in

pytestmark = pytest.mark.django_db
OUR_APPS = ("accounts", "apikeys", "billing", "gateway")
OUR_MODELS = [
    model for app in OUR_APPS for model in apps.get_app_config(app).get_models() if model._meta
]
# By services that leave an audit event.
BY_STAFF = (
    Adjustment,
    BillingAccount,
    BudgetRaise,
    MarkupRule,
    ProviderCostImport,
    ReconItem,
    Refund,
)
READ_ONLY = [
    *(model for model in apps.get_app_config("billing").get_models() if model not in BY_STAFF),
    apps.get_model("accounts.AuditEvent"),
    apps.get_model("accounts.Invitation"),
]


@pytest.fixture
def support(db):
    return factories.make_user("support@exerati.example", is_staff=True, is_superuser=True)


@pytest.fixture
def support_client(support):
    return signed_in(support)


def list_url(model):
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


@pytest.mark.parametrize("model", OUR_MODELS, ids=lambda model: model.__name__)
def test_every_model_has_a_list_that_can_be_searched(support_client, model):
    answer = support_client.get(list_url(model), {"q": "alice@acme.example"})

    assert answer.status_code == 200
    assert admin.site._registry[model].search_fields


@pytest.mark.parametrize("model", READ_ONLY, ids=lambda model: model.__name__)
def test_money_and_append_only_tables_are_read_only_even_to_a_superuser(support, model):
    request = RequestFactory().get("/")
    request.user = support
    table = admin.site._registry[model]

    assert not table.has_add_permission(request)
    assert not table.has_change_permission(request)
    assert not table.has_delete_permission(request)
    assert table.has_view_permission(request)


@pytest.mark.parametrize("query", ["alice@acme.example", "prefix", "id"])
def test_a_key_is_found_by_owner_id_and_prefix(support_client, acme, alice, query):
    key = factories.make_api_key(acme).key
    key.created_by = alice
    key.save(update_fields=["created_by"])
    text = {"prefix": key.key_prefix, "id": key.public_id}.get(query, query)

    answer = support_client.get(list_url(type(key)), {"q": text})

    assert list(answer.context["cl"].queryset) == [key]


def test_support_revokes_a_key_with_an_audit_event(support, support_client, acme, acme_key):
    support_client.post(
        list_url(type(acme_key.key)),
        {"action": "revoke", "_selected_action": [acme_key.key.pk]},
    )

    acme_key.key.refresh_from_db()
    assert acme_key.key.revoked_at is not None
    assert acme.audit_events.get(action="key.revoked").actor == support


def test_staff_sign_in_where_everybody_does(client):
    answer = client.get("/admin/", follow=True)

    assert answer.redirect_chain[-1][0].startswith("/login?next=")


def test_a_customer_gets_no_further_than_the_door(alice_client):
    assert alice_client.get("/admin/login/").status_code == 403


def test_support_sees_the_site_as_a_customer_does(support_client, alice, acme):
    answer = support_client.post("/admin/hijack/acquire/", {"user_pk": alice.pk}, follow=True)

    assert answer.context["request"].user == alice


def test_a_customer_cannot_become_somebody_else(alice_client, charlie):
    answer = alice_client.post("/admin/hijack/acquire/", {"user_pk": charlie.pk})

    assert answer.status_code == 403


@pytest.fixture
def strict(settings):
    """As in production."""
    settings.STAFF_NEED_SECOND_FACTOR = True


def test_production_asks_staff_for_a_second_factor():
    text = (BASE_DIR / "exerati/settings/production.py").read_text()

    assert "STAFF_NEED_SECOND_FACTOR = True" in text.splitlines()


def test_staff_without_a_second_factor_are_led_to_set_one_up(strict, support_client):
    answer = support_client.get("/admin/", follow=True)

    assert answer.status_code == 403
    assert f'href="{reverse("mfa_index")}"' in answer.content.decode()


def test_staff_with_a_second_factor_are_let_in(strict, support, support_client):
    Authenticator.objects.create(user=support, type=Authenticator.Type.TOTP, data={"secret": "x"})

    assert support_client.get("/admin/").status_code == 200
    assert support_client.get("/admin/login/")["Location"] == "/admin/"


def test_staff_without_a_second_factor_cannot_become_a_customer(strict, support_client, alice):
    answer = support_client.post("/admin/hijack/acquire/", {"user_pk": alice.pk})

    assert answer.status_code == 403


def test_the_admin_has_no_login_that_takes_a_password_alone(support_client, db):
    colleague = factories.make_user("colleague@exerati.example", is_staff=True)
    colleague.set_password("a long enough pass")
    colleague.save()

    support_client.post(
        "/admin/login/", {"username": colleague.email, "password": "a long enough pass"}
    )

    assert support_client.get("/admin/").context["user"] != colleague

"""The admin of providers: a credential goes in and never comes out."""

import json

import pytest
from django.urls import reverse
from django.utils import timezone

from exerati.lib.encryption import decrypt
from gateway import snapshot
from gateway.models import AccountNotice, ProviderAccount
from tests import factories
from tests.cast import signed_in

pytestmark = pytest.mark.django_db
SECRET = "sk-upstream-abcd1234"


@pytest.fixture
def client():
    return signed_in(factories.make_user(is_staff=True, is_superuser=True))


def fields(provider, **typed):
    return {
        "title": provider.title,
        "api": provider.api,
        "base_url": provider.base_url,
        "max_connections": provider.max_connections,
        **typed,
    }


def test_a_credential_is_sealed_and_shown_by_its_last_four_characters(client):
    provider = factories.make_provider()
    url = reverse("admin:gateway_provider_change", args=[provider.pk])

    saved = client.post(url, fields(provider, credential=SECRET))
    shown = client.get(url).content.decode()

    provider.refresh_from_db()
    assert saved.status_code == 302
    assert provider.sealed_credential is not None
    assert decrypt(provider.sealed_credential, context=f"provider:{provider.name}") == SECRET
    assert "…1234" in shown
    assert SECRET not in shown


def test_a_credential_that_cannot_work_is_refused_without_being_shown(client):
    provider = factories.make_provider(api="bedrock")
    url = reverse("admin:gateway_provider_change", args=[provider.pk])

    refused = client.post(
        url, fields(provider, credential='{"access_key_id": "AKID", "secret": "CANARY"}')
    )
    told = refused.content.decode()
    whole = {"access_key_id": "AKIDWXYZ", "secret_access_key": "CANARY", "region": "us-east-1"}
    saved = client.post(url, fields(provider, credential=json.dumps(whole)))

    assert refused.status_code == 200
    assert "is none of" in told
    assert "CANARY" not in told
    provider.refresh_from_db()
    assert saved.status_code == 302
    assert provider.credential_last4 == "WXYZ"
    assert json.loads(snapshot.credential(provider)) == whole


def test_an_empty_field_keeps_the_credential_and_the_box_forgets_it(client):
    provider = factories.make_provider()
    url = reverse("admin:gateway_provider_change", args=[provider.pk])
    client.post(url, fields(provider, credential=SECRET))

    client.post(url, fields(provider, title="Renamed"))
    provider.refresh_from_db()
    kept = (provider.title, provider.credential_last4)
    client.post(url, fields(provider, forget_credential="on"))
    provider.refresh_from_db()

    assert kept == ("Renamed", "1234")
    assert (provider.sealed_credential, provider.credential_last4) == (None, "")


def test_an_account_beside_the_providers_own_is_sealed_for_both_names(client):
    provider = factories.make_provider()

    added = client.post(
        reverse("admin:gateway_provideraccount_add"),
        {"provider": provider.pk, "name": "second", "weight": 3, "credential": SECRET},
    )

    account = ProviderAccount.objects.get(provider=provider)
    shown = client.get(reverse("admin:gateway_provideraccount_changelist")).content.decode()
    assert added.status_code == 302
    assert snapshot.account_credential(account) == SECRET
    assert "…1234" in shown
    assert SECRET not in shown


def test_a_notice_is_resolved_by_staff_and_not_edited(client):
    now = timezone.now()
    notice = AccountNotice.objects.create(
        provider=factories.make_provider(), reason="quota", first_at=now, last_at=now
    )

    listing = reverse("admin:gateway_accountnotice_changelist")
    client.post(listing, {"action": "resolve", "_selected_action": [notice.pk]})
    edited = client.post(
        reverse("admin:gateway_accountnotice_change", args=[notice.pk]), {"reason": "auth"}
    )

    notice.refresh_from_db()
    assert notice.resolved_at is not None
    assert edited.status_code == 403

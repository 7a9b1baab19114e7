"""The keys pages: the secret is seen once, and forms do what they say without JavaScript."""

import re

import pytest
from django.urls import reverse

from apikeys.models import ApiKey
from exerati.lib import money
from tests import factories

pytestmark = pytest.mark.django_db
SECRET = re.compile(r"sk-exr-(?:live|test)-[0-9A-Za-z]{49}")


@pytest.fixture
def create_url(acme):
    return reverse("dashboard:key_create", args=[acme.slug])


def fill(client, url, **values):
    """Return the values of the form as a browser would send them, with some typed over."""
    form = client.get(url).context["form"]
    present = {name: form[name].value() for name in form.fields}
    typed = {name: value for name, value in present.items() if value not in (None, "", False, [])}
    return typed | values


def test_the_form_starts_with_the_suggested_budget(alice_client, create_url):
    answer = alice_client.get(create_url)

    assert answer.context["form"]["budget_month_nanousd"].value() == "50"


def test_wrong_limits_and_addresses_are_told_in_words_of_the_form(alice_client, create_url):
    typed = fill(
        alice_client, create_url, requests_per_minute="0", ip_allow_list="10.0.0.0/8 999.1.1.1"
    )

    errors = alice_client.post(create_url, typed).context["form"].errors

    assert errors == {
        "requests_per_minute": ["Enter 1 or more, or leave it empty."],
        "ip_allow_list": ["999.1.1.1 is no IP address and no network such as 10.0.0.0/8."],
    }


@pytest.mark.parametrize("preset", ["production", "ci", "agent", "throwaway"])
def test_each_preset_makes_a_key_as_it_stands(alice_client, create_url, acme, preset):
    url = f"{create_url}?preset={preset}"

    answer = alice_client.post(create_url, fill(alice_client, url))

    assert answer.status_code == 200
    key = acme.api_keys.get()
    assert (key.expires_at is not None) == (preset == "throwaway")


def test_the_secret_is_in_the_answer_to_the_form_and_nowhere_after(alice_client, create_url, acme):
    answer = alice_client.post(create_url, fill(alice_client, create_url, name="prod"))
    [secret] = set(SECRET.findall(answer.content.decode()))
    key = acme.api_keys.get()

    later = [
        alice_client.get(reverse("dashboard:keys", args=[acme.slug])),
        alice_client.get(reverse("dashboard:key", args=[acme.slug, key.public_id])),
    ]

    assert "no-store" in answer["Cache-Control"]
    assert (key.key_prefix, key.key_last4) == (secret[:16], secret[-4:])
    assert all(secret not in page.content.decode() for page in later)
    assert secret not in str(dict(alice_client.session))


def test_a_reload_of_the_answer_makes_no_second_key(alice_client, create_url, acme):
    values = fill(alice_client, create_url)
    alice_client.post(create_url, values)

    again = alice_client.post(create_url, values)

    assert again.status_code == 302
    assert acme.api_keys.count() == 1


def test_every_rule_of_the_form_is_stored(alice_client, create_url, acme):
    values = {
        "name": "agent",
        "mode": "test",
        "model_patterns": "gpt-4o*, claude-*\nsandbox/echo",
        "modalities": ["chat", "embedding"],
        "endpoints": ["chat.completions"],
        "requests_per_minute": "60",
        "budget_day_nanousd": "0.25",
        "budget_month_nanousd": "1,000",
        "max_request_nanousd": "$2",
        "expires_at": "2030-01-31T12:00",
        "ip_allow_list": "10.0.0.0/8",
        "strict_parameters": "on",
    }

    alice_client.post(create_url, fill(alice_client, create_url, **values))

    key = acme.api_keys.get()
    assert key.mode == "test"
    assert key.model_patterns == ["gpt-4o*", "claude-*", "sandbox/echo"]
    assert key.modalities == ["chat", "embedding"]
    assert key.endpoints == ["chat.completions"]
    assert key.requests_per_minute == 60
    assert key.budget_day_nanousd == money.parse_usd("0.25")
    assert key.budget_month_nanousd == money.parse_usd("1000")
    assert key.max_request_nanousd == money.parse_usd("2")
    assert key.expires_at.isoformat() == "2030-01-31T12:00:00+00:00"
    assert key.ip_allow_list == ["10.0.0.0/8"]
    assert key.strict_parameters


@pytest.mark.parametrize(
    ("field", "typed"),
    [
        ("name", ""),
        ("budget_day_nanousd", "lots"),
        ("budget_day_nanousd", "-1"),
        ("budget_day_nanousd", "0.0000000001"),
        ("model_patterns", "gpt;drop"),
        ("ip_allow_list", "example.com"),
        ("requests_per_minute", "0"),
    ],
)
def test_what_is_no_valid_value_comes_back_with_an_error_and_what_was_typed(
    alice_client, create_url, acme, field, typed
):
    answer = alice_client.post(create_url, fill(alice_client, create_url) | {field: typed})

    assert answer.status_code == 422
    assert list(answer.context["form"].errors) == [field]
    assert answer.context["form"][field].value() == typed
    assert not acme.api_keys.exists()


def test_a_key_of_a_chosen_project_goes_there(alice_client, create_url, acme):
    research = acme.projects.create(name="Research")

    alice_client.post(create_url, fill(alice_client, create_url, project=research.public_id))

    assert acme.api_keys.get().project == research


def test_a_project_of_another_organization_cannot_be_chosen(alice_client, create_url, acme, globex):
    acme.projects.create(name="Research")
    foreign = globex.projects.get()

    answer = alice_client.post(
        create_url, fill(alice_client, create_url, project=foreign.public_id)
    )

    assert answer.status_code == 422


def test_an_edit_changes_what_was_typed_and_keeps_the_rest(alice_client, acme):
    key = factories.make_api_key(
        acme, metadata={"owner": "ops"}, model_patterns=["gpt-*"], budget_day_nanousd=10**9
    ).key
    page = reverse("dashboard:key", args=[acme.slug, key.public_id])

    answer = alice_client.post(f"{page}update/", fill(alice_client, page, name="renamed"))

    assert answer.status_code == 302
    key.refresh_from_db()
    assert key.name == "renamed"
    assert key.metadata == {"owner": "ops"}
    assert key.model_patterns == ["gpt-*"]
    assert key.budget_day_nanousd == 10**9


def test_disable_enable_and_revoke_are_buttons(alice_client, acme, acme_key):
    page = reverse("dashboard:key", args=[acme.slug, acme_key.key.public_id])
    seen = []
    for deed in ("disable", "enable", "revoke"):
        assert alice_client.post(f"{page}{deed}/").status_code == 302
        key = ApiKey.objects.get()
        seen.append((key.disabled_at is not None, key.revoked_at is not None))

    assert seen == [(True, False), (False, False), (False, True)]


def test_a_get_of_the_revoke_page_names_the_key_and_changes_nothing(alice_client, acme, acme_key):
    page = reverse("dashboard:key_revoke", args=[acme.slug, acme_key.key.public_id])

    answer = alice_client.get(page)

    assert "prod-api" in answer.content.decode()
    assert acme_key.key.shown in answer.content.decode()
    assert ApiKey.objects.get().revoked_at is None


@pytest.mark.parametrize("sort", ["name", "-name", "owner", "-used", "expires", "-created", "junk"])
def test_the_list_takes_the_same_few_queries_whatever_its_length(
    alice_client, acme, sort, django_assert_max_num_queries
):
    for number in range(12):
        factories.make_api_key(acme, name=f"key {number:02}")

    alice_client.get(reverse("dashboard:keys", args=[acme.slug]))  # remembers the organization

    with django_assert_max_num_queries(
        8
    ):  # session, user, membership, keys, their spend and caps, unread notices, organizations of the switcher
        answer = alice_client.get(reverse("dashboard:keys", args=[acme.slug]), {"sort": sort})

    names = [row.key.name for row in answer.context["rows"]]
    assert len(names) == 12
    if sort.endswith("name"):
        assert names == sorted(names, reverse=sort.startswith("-"))


def test_a_viewer_sees_keys_but_no_way_to_change_them(bob, bob_client, acme, acme_key):
    acme.memberships.filter(user=bob).update(role="viewer")
    page = reverse("dashboard:key", args=[acme.slug, acme_key.key.public_id])

    shown = bob_client.get(page)
    refused = bob_client.post(f"{page}revoke/")

    assert shown.status_code == 200
    assert "Revoke" not in shown.content.decode()
    assert refused.status_code == 403
    assert "Owner or Admin or Developer" in refused.content.decode()
    assert ApiKey.objects.get().revoked_at is None


def test_a_key_of_another_organization_is_not_found(alice_client, acme, globex_key):
    page = reverse("dashboard:key", args=[acme.slug, globex_key.key.public_id])

    assert alice_client.get(page).status_code == 404
    assert alice_client.post(f"{page}revoke/").status_code == 404

"""The playground's calls: one path with every other call, under a member's session instead of a key."""

import http.client
import json
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import services
from accounts.models import Membership, Organization
from apikeys import keys, seats
from apikeys.models import ApiKey
from billing.models import RefusedRequest
from gateway.console import error_advice
from gateway.documentation.docs_values import ERROR_WORDS
from gateway.models import Model
from tests import factories
from tests.gateway import books
from tests.upstream import wait_until

TOKEN = "t" * 32
MESSAGES = [{"role": "user", "content": "Hi"}]


class Browser:
    """A signed-in browser at a gateway process, with what a form of ours sends."""

    def __init__(self, shop: Any, *, role: str = "developer") -> None:
        self.shop = shop
        self.user = factories.make_user()
        self.member = services.add_member(shop.organization, user=self.user, role=role, actor=None)
        client = Client()
        client.force_login(self.user, backend="django.contrib.auth.backends.ModelBackend")
        session = client.cookies[settings.SESSION_COOKIE_NAME].value
        self.headers = {
            "cookie": f"{settings.SESSION_COOKIE_NAME}={session}; csrftoken={TOKEN}",
            "x-csrftoken": TOKEN,
            "content-type": "application/json",
        }

    def path(self, rest: str = "call") -> str:
        return f"/dashboard/{self.shop.organization.slug}/playground/{rest}"

    def call(self, *, mode: str = "live", **body: Any) -> Any:
        sent = {"model": self.shop.model, "messages": MESSAGES, **body}
        return self.shop.gateway.request(
            "POST", self.path(f"call?mode={mode}"), body=sent, headers=self.headers
        )


@pytest.fixture
def browser(shop):
    return Browser(shop)


def seat_of(browser: Browser) -> ApiKey:
    return ApiKey.every.get(kind="seat", created_by=browser.user)


@pytest.mark.parametrize("stream", [False, True])
def test_call_of_a_session_is_metered_like_any_other_and_names_the_member(shop, browser, stream):
    answer = browser.call(stream=stream)

    assert answer.status == 200, answer.body
    event = books.only(shop.organization)
    assert event.charge_nanousd > 0
    assert event.key == seat_of(browser)
    assert (event.key.created_by, event.endpoint) == (browser.user, "chat.completions")
    assert browser.user.email in event.key.name
    assert answer.headers["x-request-id"].startswith("req_")
    assert "access-control-allow-origin" not in answer.headers
    if stream:
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.body.endswith(b"data: [DONE]\n\n")


def test_test_mode_is_simulated_and_free(shop, browser):
    answer = browser.call(mode="test")

    assert answer.status == 200
    event = books.only(shop.organization)
    assert (event.mode, event.charge_nanousd) == ("test", 0)
    assert shop.upstream.calls == []


def test_budget_of_the_organization_refuses_and_the_log_says_whom(shop, browser):
    Organization.objects.filter(pk=shop.organization.pk).update(budget_month_nanousd=0)

    answer = browser.call()

    assert (answer.status, answer.error["code"]) == (429, "insufficient_quota")
    assert shop.upstream.calls == []
    wait_until(lambda: RefusedRequest.objects.filter(key=seat_of(browser)).exists())


def test_errors_come_in_the_envelope_of_v1(shop, browser):
    answer = browser.call(messages="no")

    assert (answer.status, answer.error["code"]) == (400, "invalid_type")
    assert answer.error["request_id"] == answer.headers["x-request-id"]


@pytest.mark.parametrize("role", ["billing", "viewer"])
def test_roles_that_may_not_spend_cannot_call(shop, role):
    viewer = Browser(shop, role=role)

    assert viewer.call().status == 403
    assert shop.upstream.calls == []
    page = shop.gateway.request("GET", viewer.path(""), headers=viewer.headers)
    assert page.status == 200
    assert b"You can look, but not call" in page.body


def test_strangers_forged_forms_and_keys_get_nowhere(shop, browser):
    stranger = factories.make_user()
    factories.make_organization(owner=stranger)
    without_token = {**browser.headers, "x-csrftoken": "x" * 32}
    outside = Browser(shop)
    outside.member.delete()
    ask = shop.gateway.request
    body = {"model": shop.model, "messages": MESSAGES}

    assert ask("POST", browser.path(), body=body, headers=without_token).status == 403
    assert ask("POST", browser.path(), body=body, headers=outside.headers).status == 404
    with_key = {"authorization": f"Bearer {shop.secret}", "x-csrftoken": TOKEN}
    with_key["cookie"] = f"csrftoken={TOKEN}"
    answer = ask("POST", browser.path(), body=body, headers=with_key)
    assert (answer.status, "login" in answer.headers["location"]) == (302, True)
    assert shop.upstream.calls == []


def test_nothing_authenticates_as_a_seat(shop, browser):
    """Not even a secret whose digest a seat happens to have."""
    new = keys.make("live")
    project = shop.organization.projects.get(is_default=True)
    seat = seats.take(shop.organization, user=browser.user, project=project, mode="live")
    ApiKey.every.filter(pk=seat.pk).update(
        key_hash=keys.digest(new.secret, pepper=settings.KEY_PEPPER)
    )

    answer = shop.gateway.chat(new.secret, model=shop.model)

    assert (answer.status, answer.error["code"]) == (401, "invalid_api_key")


def test_seat_is_taken_once_and_is_on_no_list_of_keys(shop, browser):
    project = shop.organization.projects.get(is_default=True)
    first, second = (
        seats.take(shop.organization, user=browser.user, project=project, mode="live")
        for _ in range(2)
    )

    assert first == second
    assert list(shop.organization.api_keys.all()) == [shop.key.key]
    assert list(project.api_keys.all()) == [shop.key.key]


def opened(browser: Browser, **body: Any) -> http.client.HTTPConnection:
    """Return a connection on which a stream has begun."""
    connection = http.client.HTTPConnection("127.0.0.1", browser.shop.gateway.port, timeout=60)
    sent = {"model": "sandbox/slow", "messages": MESSAGES, "stream": True, **body}
    connection.request("POST", browser.path(), body=json.dumps(sent), headers=browser.headers)
    return connection


@pytest.fixture
def slow(shop):
    """A request whose answer takes half a minute."""
    if not Model.objects.filter(name="sandbox/slow").exists():
        factories.make_model("sandbox/slow")
    shop.gateway.learn("sandbox/slow", key=shop.secret)
    wanted = json.dumps({"delay_ms": 100, "tokens": 300})
    return {"messages": [{"role": "user", "content": wanted}]}


def test_page_that_is_left_stops_the_call_and_pays_for_what_came(shop, browser, slow):
    connection = opened(browser, **slow)
    response = connection.getresponse()
    assert b"one" in response.read(2_000)

    response.close()
    connection.close()

    event = books.only(shop.organization)
    assert (event.outcome, event.basis) == ("client_left", "counted")
    assert 0 < event.output_tokens < 300


def test_member_who_is_removed_while_an_answer_runs_is_cut_off(shop, browser, slow):
    connection = opened(browser, **slow)
    response = connection.getresponse()
    assert b"one" in response.read(2_000)

    browser.member.delete()
    rest = response.read()
    connection.close()

    assert b"key_revoked" in rest
    event = books.only(shop.organization)
    assert event.error_code == "key_revoked"
    assert browser.call().status == 404


def test_form_without_scripts_brings_the_whole_answer(shop, browser):
    headers = {**browser.headers, "content-type": "application/x-www-form-urlencoded"}
    sent = f"model={shop.model}&message=Hi+there&temperature=0.5&csrfmiddlewaretoken={TOKEN}"

    page = shop.gateway.request(
        "POST", browser.path("answer/"), body=sent.encode(), headers=headers
    )

    assert page.status == 200
    event = books.only(shop.organization)
    html = page.body.decode()
    assert "Hi there" in html
    assert f"{event.input_tokens} in" in html
    assert shop.upstream.calls[0].body["messages"] == [{"role": "user", "content": "Hi there"}]


def test_suspended_organization_calls_nothing(shop, browser):
    Organization.objects.filter(pk=shop.organization.pk).update(suspended_at=timezone.now())

    answer = browser.call()

    assert (answer.status, answer.json["error"]["code"]) == (503, "organization_suspended")
    assert shop.upstream.calls == []


@pytest.mark.django_db
def test_model_whose_providers_have_no_account_begins_in_test_mode(alice_client, acme):
    unserved = factories.make_provider(api_key_env="EXERATI_TEST_KEY_THAT_NOBODY_SETS")
    factories.make_model("gpt-4o-mini", provider=unserved)
    factories.make_model("sandbox/echo")
    address = reverse("dashboard:playground", args=[acme.slug])

    modes = {
        query: alice_client.get(address + query).context["mode"]
        for query in ("", "?model=gpt-4o-mini", "?model=sandbox/echo")
    }

    assert modes == {"": "live", "?model=gpt-4o-mini": "test", "?model=sandbox/echo": "live"}


def test_advice_is_told_once_and_only_of_codes_that_there_are():
    assert not set(error_advice.ADVICE) - set(ERROR_WORDS)
    assert error_advice.advice("invalid_type") == "Correct the field in param."
    assert error_advice.advice("insufficient_quota") == ""


def test_owner_page_offers_the_models_with_what_they_support(shop):
    owner = shop.organization.memberships.get(role=Membership.Role.OWNER).user
    client = Client()
    client.force_login(owner, backend="django.contrib.auth.backends.ModelBackend")

    answer = client.get(f"/dashboard/{shop.organization.slug}/playground/?model={shop.model}")

    assert answer.context["model"] == shop.model
    names = [model["name"] for model in answer.context["page_data"]["models"]]
    assert shop.model in names

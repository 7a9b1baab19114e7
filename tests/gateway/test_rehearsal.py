"""Would this request pass? The answer is that of a real call, and nothing has changed after it."""

import json
from typing import Any
from urllib.parse import urlencode

import pytest
import redis
from django.conf import settings
from django.test import Client
from django.utils import timezone

from accounts.models import Organization
from apikeys.models import ApiKey
from billing.models import Budget, RefusedRequest, Reservation
from tests import factories
from tests.gateway import books
from tests.gateway.test_playground import TOKEN, Browser

MESSAGES = [{"role": "user", "content": "Hi"}]


@pytest.fixture
def browser(shop):
    return Browser(shop, role="viewer")


def rehearse(browser, key, **fields):
    """Return the text of the page that the form brings."""
    headers = {**browser.headers, "content-type": "application/x-www-form-urlencoded"}
    sent = urlencode({"key": key.public_id, "csrfmiddlewaretoken": TOKEN, **fields})
    slug = browser.shop.organization.slug
    answer = browser.shop.gateway.request(
        "POST", f"/dashboard/{slug}/limits/try/", body=sent.encode(), headers=headers
    )
    assert answer.status in (200, 422), answer.body
    return answer.body.decode()


def key_of(shop, **rules):
    secret = shop.make_key(**rules)
    key = ApiKey.objects.filter(organization=shop.organization).order_by("-pk")[0]
    return secret, key


def body(shop, **fields):
    return json.dumps({"model": shop.model, "messages": MESSAGES, **fields})


def state(shop):
    """Return everything that a call would change: money, refusals, and the limits in Redis."""
    own = {"organization": shop.organization}
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        keys = sorted(client.keys(f"*{{limits:{shop.organization.pk}}}*"))
        limits = [(key, client.object("encoding", key), client.dump(key)) for key in keys]
    return (
        list(Budget.objects.filter(**own).order_by("pk").values()),
        list(Reservation.objects.filter(**own).values()),
        RefusedRequest.objects.filter(**own).count(),
        limits,
    )


def test_what_passes_is_told_with_every_limit_and_changes_nothing(shop, browser):
    shop.chat()  # so that counters and limits exist
    books.only(shop.organization)
    _, key = key_of(shop, budget_month_nanousd=10**10, max_request_nanousd=10**9)
    before = state(shop)

    page = rehearse(browser, key, body=body(shop, max_tokens=50))

    assert "It would pass" in page
    for told in (
        "Requests a minute",
        "Tokens a minute",
        "Cap for one request",
        "Credit",
        "a month",
    ):
        assert told in page
    assert state(shop) == before
    assert len(shop.upstream.calls) == 1


REFUSALS: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "insufficient_quota": ({"budget_month_nanousd": 1}, {"max_tokens": 50}, "Monthly budget"),
    "request_too_dear": ({"max_request_nanousd": 1}, {"max_tokens": 50}, "Cap for one request"),
    "rate_limit_exceeded": ({"tokens_per_minute": 10}, {"max_tokens": 50}, "Tokens a minute"),
    "model_not_allowed": ({"model_patterns": ["other/*"]}, {}, ""),
    "endpoint_not_allowed": ({"endpoints": ["embeddings"]}, {}, ""),
    "invalid_type": ({}, {"messages": 7}, ""),
    "unknown_parameter": ({"strict_parameters": True}, {"nonsense": 1}, ""),
}


@pytest.mark.parametrize("code", REFUSALS)
def test_refusal_is_that_of_a_real_call(shop, browser, code):
    rules, fields, title = REFUSALS[code]
    secret, key = key_of(shop, **rules)
    asked = body(shop, **fields)
    before = state(shop)

    page = rehearse(browser, key, body=asked)

    assert state(shop) == before
    real = shop.gateway.request("POST", "/v1/chat/completions", key=secret, body=json.loads(asked))
    assert real.error["code"] == code
    assert code in page
    assert f"refused with {real.status}" in page
    assert ("What to do" in page) == (code == "invalid_type")  # the others' messages say it
    if title:
        assert f"Decided by: {title}" in page


def test_requests_used_up_by_real_calls_decide_with_their_numbers(shop, browser):
    secret, key = key_of(shop, requests_per_minute=2)
    for _ in range(2):
        assert shop.gateway.chat(secret, model=shop.model).status == 200

    page = rehearse(browser, key, body=body(shop))

    assert "Decided by: Requests a minute" in page
    assert "2 requests" in page


def test_model_and_counts_are_enough(shop, browser):
    _, key = key_of(shop, tokens_per_minute=5_000)

    small = rehearse(browser, key, model=shop.model, input_tokens="1000", output_tokens="100")
    large = rehearse(browser, key, model=shop.model, input_tokens="9000", output_tokens="100")
    absurd = rehearse(browser, key, model=shop.model, input_tokens="9" * 12)

    assert "It would pass" in small
    assert "at most <span" in small
    assert "Decided by: Tokens a minute" in large
    assert "9,100" in large
    assert "less than or equal to 100000000" in absurd


def test_suspended_and_unknown_are_told(shop, browser):
    _, key = key_of(shop)
    assert "model_not_found" in rehearse(browser, key, model="no/such")
    assert "Choose a model" in rehearse(browser, key)
    Organization.objects.filter(pk=shop.organization.pk).update(suspended_at=timezone.now())
    assert "organization_suspended" in rehearse(browser, key, body=body(shop))


def test_key_of_another_organization_is_none(shop, browser, globex_key):
    page = rehearse(browser, globex_key.key, body=body(shop))

    assert "Choose a key that is not revoked" in page


@pytest.fixture
def globex_key(shop):
    return factories.make_api_key()


def test_live_use_is_what_calls_have_taken(shop, browser):
    secret, key = key_of(shop, requests_per_minute=2, concurrency=7)
    shop.gateway.chat(secret, model=shop.model)
    books.only(shop.organization)
    member = Client()
    member.force_login(browser.user, backend="django.contrib.auth.backends.ModelBackend")

    answer = member.get(f"/dashboard/{shop.organization.slug}/limits/")

    [use] = [use for use in answer.context["uses"] if use.key == key]
    assert use.is_known
    # A minute's requests are free again one after another: the one that was made within half a minute.
    assert (use.requests.used, use.requests.limit) in ((1, 2), (0, 2))
    assert use.requests.used == 1 or use.tokens.used == 0
    assert (use.open_calls.used, use.open_calls.limit) == (0, 7)

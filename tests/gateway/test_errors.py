"""Whatever goes wrong, a customer reads OpenAI's envelope with a stable code and what to do next."""

import json
from datetime import UTC, datetime

import httpx
import openai
import pytest
from django.db import OperationalError

from apikeys import authentication
from billing.budgets import BillingUnavailable, BudgetExceeded, KeyInactive
from billing.pricing import PriceMissing
from billing.types import Refusal
from gateway import errors
from gateway.errors import ApiError
from gateway.json_body import InvalidBody
from gateway.providers.base import ProviderError
from gateway.rate_limits.limit_types import Allowance, TakeSlot
from gateway.rate_limits.limits import RateLimited
from gateway.routes.routing import ModelNotAllowed, ModelNotFound, NoRoute
from gateway.sse import EventTooLarge
from gateway.wire_checks import InvalidRequest


def refusal(**fields) -> Refusal:
    values = {
        "scope": "key",
        "period": "month",
        "cap_nanousd": 50_000_000_000,
        "posted_nanousd": 49_900_000_000,
        "held_nanousd": 50_000_000,
        "needed_nanousd": 120_000_000,
        "frees_at": datetime(2026, 12, 1, tzinfo=UTC),
    }
    return Refusal(**{**values, **fields})


def rate_limited(
    kind: str, *, limit: int = 600, tokens: int = 10, retry_ms: int = 1_500
) -> RateLimited:
    return RateLimited(
        kind,
        limit=limit,
        allowance=Allowance(kind, 0, 0, 0, 0, retry_ms),
        slot=TakeSlot(1, 1, "req", 600, tokens, 1_000, 100),
    )


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (authentication.KeyMissing(), 401, "missing_api_key"),
        (authentication.KeyInvalid(), 401, "invalid_api_key"),
        (authentication.KeyRevoked(), 401, "key_revoked"),
        (authentication.KeyExpired(), 401, "key_expired"),
        (authentication.KeyDisabled(), 401, "key_disabled"),
        (authentication.IpNotAllowed(), 401, "ip_not_allowed"),
        (authentication.OrganizationSuspended(), 403, "organization_suspended"),
        (authentication.TwoKeys(), 400, "conflicting_credentials"),
        (KeyInactive("revoked"), 401, "key_revoked"),
        (KeyInactive("unknown"), 401, "invalid_api_key"),
        (KeyInactive("suspended"), 403, "organization_suspended"),
        (ModelNotFound("m"), 404, "model_not_found"),
        (ModelNotAllowed("m"), 403, "model_not_allowed"),
        (NoRoute("m"), 503, "no_provider"),
        (PriceMissing("input"), 503, "no_provider"),
        (InvalidBody("Bad."), 400, "invalid_json"),
        (InvalidRequest("Bad.", param="n", code="invalid_value"), 400, "invalid_value"),
        (rate_limited("requests"), 429, "rate_limit_exceeded"),
        (rate_limited("tokens"), 429, "rate_limit_exceeded"),
        (rate_limited("concurrency"), 429, "concurrency_limit_exceeded"),
        (BudgetExceeded(refusal()), 429, "insufficient_quota"),
        (BillingUnavailable(), 503, "service_unavailable"),
        (OperationalError("password=secret"), 503, "service_unavailable"),
        (EventTooLarge(max_bytes=1), 502, "provider_bad_answer"),
        (ProviderError("bad_request", "Bad."), 400, "invalid_request"),
        (ProviderError("bad_request", "Bad.", code="tool_use_failed"), 400, "tool_use_failed"),
        (ProviderError("bad_request", "Bad.", code="invalid_api_key"), 400, "invalid_request"),
        (ProviderError("context_length", "Long."), 400, "context_length_exceeded"),
        (ProviderError("content_policy", "No."), 400, "content_policy_violation"),
        (ProviderError("not_found", "x"), 503, "provider_unavailable"),
        (ProviderError("auth", "x"), 503, "provider_unavailable"),
        (ProviderError("quota", "x"), 503, "provider_unavailable"),
        (ProviderError("rate_limited", "x"), 503, "provider_overloaded"),
        (ProviderError("overloaded", "x"), 503, "provider_overloaded"),
        (ProviderError("server", "x"), 502, "provider_error"),
        (ProviderError("connection", "x"), 502, "provider_error"),
        (ProviderError("bad_answer", "x"), 502, "provider_bad_answer"),
        (ProviderError("timeout", "x"), 504, "provider_timeout"),
        (errors.not_supported("/v1/files"), 501, "not_supported"),
        (errors.unknown_url("GET", "/v1/x"), 404, "unknown_url"),
        (errors.request_too_large(32 * 2**20), 413, "request_too_large"),
        (errors.unsupported_media_type("text/plain"), 415, "unsupported_media_type"),
        (errors.request_timeout(60), 408, "request_timeout"),
        (errors.endpoint_not_allowed("/v1/embeddings"), 403, "endpoint_not_allowed"),
        (ZeroDivisionError("secret"), 500, "internal_error"),
    ],
)
def test_each_fault_has_its_status_and_code(error, status, code):
    told = errors.from_exception(error)

    assert (told.status, told.code) == (status, code)
    body = errors.body(told, request_id="req_1")["error"]
    assert set(body) >= {"message", "type", "param", "code", "docs_url", "request_id"}
    assert body["message"].endswith((".", "?"))
    assert body["docs_url"].endswith(f"/docs/errors#{code}")
    assert "secret" not in json.dumps(body)


def raised_by_the_sdk(error: Exception) -> openai.APIStatusError:
    """Return what the official client raises for our answer."""
    told = errors.from_exception(error)
    content = json.dumps(errors.body(told, request_id="req_1"))

    def answer(request: httpx.Request) -> httpx.Response:
        headers = {"x-request-id": "req_1", "content-type": "application/json", **told.headers}
        return httpx.Response(told.status, headers=headers, content=content)

    client = openai.OpenAI(
        api_key="sk",
        base_url="http://gateway/v1",
        max_retries=0,
        http_client=openai.DefaultHttpxClient(transport=transport(answer)),
    )
    with pytest.raises(openai.APIStatusError) as caught:
        client.models.list()
    client.close()
    return caught.value


def transport(answer):
    """The SDK has an HTTP library of its own; its mock transport takes the same function."""
    library = openai.DefaultHttpxClient.__mro__[1].__module__.partition(".")[0]
    module = __import__(library)

    def adapted(request):
        found = answer(request)
        return module.Response(
            found.status_code, headers=dict(found.headers), content=found.content
        )

    return module.MockTransport(adapted)


@pytest.mark.parametrize(
    ("error", "kind", "code"),
    [
        (authentication.KeyInvalid(), openai.AuthenticationError, "invalid_api_key"),
        (ModelNotFound("m"), openai.NotFoundError, "model_not_found"),
        (ModelNotAllowed("m"), openai.PermissionDeniedError, "model_not_allowed"),
        (InvalidBody("Bad."), openai.BadRequestError, "invalid_json"),
        (rate_limited("requests"), openai.RateLimitError, "rate_limit_exceeded"),
        (BudgetExceeded(refusal()), openai.RateLimitError, "insufficient_quota"),
        (ProviderError("server", "x"), openai.InternalServerError, "provider_error"),
    ],
)
def test_the_official_sdk_raises_the_right_class(error, kind, code):
    raised = raised_by_the_sdk(error)

    assert type(raised) is kind
    assert raised.code == code
    assert raised.request_id == "req_1"


def test_a_refusal_for_money_tells_the_whole_sum():
    told = errors.from_exception(BudgetExceeded(refusal(), affordable_tokens=350))

    for words in (
        "This key's monthly",
        "$50.00",
        "$49.90",
        "$0.05",
        "$0.12",
        "at most 350",
        "2026-12-01",
    ):
        assert words in told.message
    assert told.headers == {"x-should-retry": "false"}
    assert told.details["cap_usd"] == "50"
    assert told.details["held_usd"] == "0.05"
    assert told.details["frees_at"] == "2026-12-01T00:00:00+00:00"


def test_a_refusal_by_held_money_says_that_it_will_pass():
    held = refusal(posted_nanousd=0, held_nanousd=49_990_000_000)

    assert "calls in progress have ended" in errors.from_exception(BudgetExceeded(held)).message


def test_an_empty_wallet_asks_for_credit_and_says_where(settings):
    told = errors.from_exception(
        BudgetExceeded(refusal(scope="wallet", period="total", frees_at=None))
    )

    assert "credit does not cover" in told.message
    assert told.message.endswith(f"Add credit at {settings.SITE_URL}/dashboard/-/billing/.")
    assert told.details["pay_url"] == f"{settings.SITE_URL}/dashboard/-/billing/"


def test_a_rate_limit_says_when_to_come_back():
    told = errors.from_exception(rate_limited("requests", retry_ms=1_500))

    assert told.headers == {"retry-after": "2", "retry-after-ms": "1500"}
    assert told.type == "requests"
    assert errors.from_exception(rate_limited("tokens", limit=1_000)).type == "tokens"


def test_a_call_larger_than_the_limit_itself_is_not_to_be_retried():
    told = errors.from_exception(rate_limited("tokens", limit=1_000, tokens=2_000))

    assert told.headers == {"x-should-retry": "false"}
    assert "2,000 tokens" in told.message


def test_a_providers_words_about_our_account_are_not_repeated():
    for kind in ("auth", "quota", "rate_limited", "server", "not_found"):
        told = errors.from_exception(ProviderError(kind, "Your account acme-1 is out of money."))

        assert "acme-1" not in told.message


def test_an_overloaded_provider_passes_its_wait_on():
    told = errors.from_exception(ProviderError("overloaded", "x", retry_after_seconds=7.2))

    assert told.headers["retry-after"] == "8"


def test_a_request_the_provider_refused_keeps_its_words_and_param():
    told = errors.from_exception(
        ProviderError("bad_request", "No such voice.", param="messages[0]")
    )

    assert (told.message, told.param) == ("No such voice.", "messages[0]")


def test_a_key_is_shown_as_far_as_it_may_be():
    told = errors.from_exception(authentication.KeyRevoked("sk-exr-live-…wxyz"))

    assert "(sk-exr-live-…wxyz)" in told.message


def test_an_error_in_a_stream_has_the_same_envelope_in_one_line():
    payload = errors.stream_error(ApiError("key_revoked", "Revoked."), request_id="req_1")

    assert b"\n" not in payload
    assert json.loads(payload) == errors.body(
        ApiError("key_revoked", "Revoked."), request_id="req_1"
    )

"""Whatever shape a provider's refusal has, its kind is understood and nothing of our account is repeated."""

import json

import pytest

from gateway.providers import registry
from tests.gateway import recorded

ADAPTER = registry.adapter("openai")
ERRORS = [item for item in recorded.exchanges() if item.status >= 400]
needs_recordings = pytest.mark.skipif(not recorded.SHARED.exists(), reason=recorded.MISSING)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, {"error": {"message": "bad", "code": "invalid_value"}}, "bad_request"),
        (400, {"error": {"type": "exceed_context_size_error", "code": 400}}, "context_length"),
        (400, {"error": {"message": "maximum context length is 8192 tokens"}}, "context_length"),
        (400, {"error": {"code": "content_filter", "message": "filtered"}}, "content_policy"),
        (
            400,
            {"error": {"innererror": {"code": "ResponsibleAIPolicyViolation"}}},
            "content_policy",
        ),
        (401, {"error": {"code": "invalid_api_key"}}, "auth"),
        (402, {"error": {"message": "Insufficient Balance"}}, "quota"),
        (403, {"error": {"message": "country not supported"}}, "auth"),
        (404, {"error": {"code": "404", "message": "Resource not found"}}, "not_found"),
        (
            413,
            {"error": {"code": "rate_limit_exceeded", "message": "Request too large"}},
            "rate_limited",
        ),
        (422, {"detail": [{"loc": ["body"], "msg": "extra fields not permitted"}]}, "bad_request"),
        (429, {"error": {"code": "insufficient_quota"}}, "quota"),
        (429, {"error": {"code": 429, "message": "Provider returned error"}}, "rate_limited"),
        (500, {"error": {"message": "oops", "type": "server_error"}}, "server"),
        (501, {"error": {"code": 501}}, "server"),
        (503, {"error": "Server overloaded"}, "overloaded"),
        (529, {}, "overloaded"),
        (504, {}, "timeout"),
        (524, {}, "timeout"),
    ],
)
def test_a_refusal_is_understood(status, body, kind):
    error = ADAPTER.error(status, {}, json.dumps(body).encode())

    assert error.kind == kind
    assert error.message
    assert error.status == status


@needs_recordings
@pytest.mark.parametrize("exchange", ERRORS, ids=lambda exchange: exchange.name)
def test_recorded_refusals_are_understood_and_scrubbed(exchange):
    error = ADAPTER.error(exchange.status, exchange.headers, exchange.data)

    kinds = {401: "auth", 404: "not_found", 429: "rate_limited", 500: "server", 503: "overloaded"}
    assert error.kind == kinds.get(exchange.status, error.kind)
    if exchange.status == 400:
        assert error.kind in ("bad_request", "context_length")
    for secret in ("http", "REDACTED", "****", "org-", "org_"):
        assert secret not in error.message


@pytest.mark.parametrize(
    "secret",
    [
        "sk-proj-AbC123def456",
        "org-Zx81hs2kq0",
        "user_2Nf8sK1q",
        "https://platform.openai.com/account/api-keys",
        "me@example.com",
        "Bearer abc.def",
        "sk-wrong****-key",
        "0b1e6c3a-9d2f-4c5b-8a7e-1f2d3c4b5a69",
        "5f4dcc3b5aa765d61d8327deb882cf99",
    ],
)
def test_nothing_of_our_account_is_in_a_message(secret):
    data = json.dumps({"error": {"message": f"Denied for {secret}."}}).encode()

    message = ADAPTER.error(400, {}, data).message

    assert message.startswith("Denied for [removed]")
    assert secret not in message


def test_names_of_parameters_stay_in_a_message():
    data = json.dumps({"error": {"message": "user_location and key_points are wrong"}}).encode()

    assert ADAPTER.error(400, {}, data).message == "user_location and key_points are wrong"


@pytest.mark.parametrize(
    ("headers", "message", "seconds"),
    [
        ({"retry-after": "7"}, "", 7),
        ({"retry-after-ms": "250", "retry-after": "7"}, "", 0.25),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, "", None),
        ({}, "Please try again in 644ms.", 0.644),
        ({}, "Please try again in 1m30s.", 90),
        ({}, "Please try again later.", None),
    ],
)
def test_the_wait_a_provider_asks_for_is_read(headers, message, seconds):
    data = json.dumps({"error": {"message": message}}).encode()

    assert ADAPTER.error(429, headers, data).retry_after_seconds == pytest.approx(seconds)


def test_a_page_of_html_is_no_message():
    assert "<html>" not in ADAPTER.error(502, {}, b"<html>nginx</html>").message

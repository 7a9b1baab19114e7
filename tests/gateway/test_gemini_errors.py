"""Google's errors become what they are, without the names of our projects."""

import json
from typing import Any

import pytest

from gateway.providers import registry
from tests.gateway import recorded, recorded_gemini

ADAPTER = registry.adapter("gemini")
ERRORS = [item for item in recorded_gemini.exchanges() if item.status >= 400]
needs_recordings = pytest.mark.skipif(not recorded.SHARED.exists(), reason=recorded.MISSING)

EXPECTED = {
    "embeddings-err404": "not_found",
    "google-429-retry-info": "rate_limited",
    "unary-failure-api-key": "auth",
    "generatecontent-err429": "rate_limited",
    "http-503-unavailable": "overloaded",
    "streamgeneratecontent-err400": "auth",
    "iam-permission-denied": "auth",
    "quota-exceeded": "rate_limited",
    "generatecontent-err400-7904": "context_length",
    "generatecontent-err400-906f": "bad_request",
    "err400-document-image": "bad_request",
    "generatecontent-err404": "not_found",
}


@needs_recordings
@pytest.mark.parametrize("exchange", ERRORS, ids=lambda exchange: exchange.name)
def test_recorded_errors_are_known(exchange):
    (kind,) = [kind for words, kind in EXPECTED.items() if words in exchange.name]

    error = ADAPTER.error(exchange.status, {}, exchange.data)

    assert error.kind == kind
    assert error.status == exchange.status
    assert error.message
    for secret in ("test-project-id", "fake-project", "000000000000", "projects/"):
        assert secret not in error.message


def read(status: int, message: str = "x", *, name: str = "", details: Any = ()) -> Any:
    error = {"code": status, "message": message, "status": name, "details": list(details)}
    return ADAPTER.error(status, {}, json.dumps({"error": error}).encode())


@pytest.mark.parametrize(
    ("status", "name", "kind"),
    [
        (400, "INVALID_ARGUMENT", "bad_request"),
        (400, "FAILED_PRECONDITION", "auth"),
        (403, "PERMISSION_DENIED", "auth"),
        (404, "NOT_FOUND", "not_found"),
        (429, "RESOURCE_EXHAUSTED", "rate_limited"),
        (500, "INTERNAL", "server"),
        (503, "UNAVAILABLE", "overloaded"),
        (504, "DEADLINE_EXCEEDED", "timeout"),
        (418, "", "bad_request"),
        (500, "", "server"),
    ],
)
def test_each_status_has_its_kind(status, name, kind):
    assert read(status, name=name).kind == kind


def test_a_retry_hint_is_found_in_details_and_message():
    info = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.4s"}

    hinted = read(429, name="RESOURCE_EXHAUSTED", details=[info])

    assert hinted.retry_after_seconds == 34.4
    assert read(429, "Please retry in 48.9s.").retry_after_seconds == 48.9
    assert read(429).retry_after_seconds is None


def test_a_quota_of_the_day_is_used_up_and_one_of_the_minute_is_not():
    def violation(quota_id: str) -> Any:
        return {"violations": [{"quotaId": quota_id}]}

    day = read(429, name="RESOURCE_EXHAUSTED", details=[violation("RequestsPerDayPerProject")])
    minute = read(429, name="RESOURCE_EXHAUSTED", details=[violation("TokensPerMinute")])

    assert (day.kind, minute.kind) == ("quota", "rate_limited")
    assert read(429, "Your prepayment credits are depleted.").kind == "quota"


def test_no_account_of_ours_is_named():
    message = (
        "Quota of project_number:123456789012 in projects/our-project-77/locations/eu for"
        " bot@our-project-77.iam.gserviceaccount.com, key AIzaSyA1234567890abcdef, see https://console.example/x"
    )

    shown = read(400, message, name="INVALID_ARGUMENT").message

    for secret in ("123456789012", "our-project", "AIza", "https://"):
        assert secret not in shown


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"<html>502</html>", "server"),
        (b"[]", "server"),
        (b'[{"error":{"code":503,"status":"UNAVAILABLE","message":"m"}}]', "overloaded"),
        (b'{"error":"text"}', "server"),
        (b'{"error":{"details":7,"message":null}}', "server"),
    ],
)
def test_odd_bodies_are_errors_too(data, kind):
    error = ADAPTER.error(502, {}, data)

    assert error.kind == kind
    assert error.message

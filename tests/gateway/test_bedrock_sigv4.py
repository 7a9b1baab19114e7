"""
Signatures as Amazon computes them.

The requests and signatures are those of its published test suite of Signature Version 4 (aws-sig-v4-test-suite:
get-vanilla, post-vanilla, get-vanilla-query-order-key-case, get-header-value-trim).
"""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from gateway.providers.amazon import bedrock_sigv4
from gateway.providers.amazon.bedrock_sigv4 import SigningKey
from gateway.providers.base import UpstreamRequest

KEY = SigningKey(
    "AKIDEXAMPLE",
    "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
    region="us-east-1",
    service="service",
)
NOW = datetime(2015, 8, 30, 12, 36, tzinfo=UTC)
URL = "https://example.amazonaws.com"


def signature(method: str, path: str, *headers: tuple[str, str], key: SigningKey = KEY) -> str:
    told = dict(bedrock_sigv4.sign(method, URL + path, headers=headers, body=b"", key=key, now=NOW))
    return told["authorization"]


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
        ("POST", "/", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
        (
            "GET",
            "/?Param2=value2&Param1=value1",
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        ),
    ],
)
def test_signatures_are_those_of_the_published_test_suite(method, path, expected):
    assert signature(method, path) == (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
        f"SignedHeaders=host;x-amz-date, Signature={expected}"
    )


def test_blanks_in_a_headers_value_count_once():
    told = signature("GET", "/", ("My-Header1", " value1"), ("My-Header2", ' "a   b   c"'))

    assert told.endswith("acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736")


def test_a_session_token_is_sent_and_signed():
    key = SigningKey("AKIDEXAMPLE", KEY.secret_access_key, "token", "us-east-1", "service")

    assert "SignedHeaders=host;x-amz-date;x-amz-security-token," in signature("GET", "/", key=key)


def test_a_models_colon_is_escaped_twice_in_what_is_signed():
    text, _ = bedrock_sigv4._canonical("POST", f"{URL}/model/a.b-v1%3A0/converse", (), b"")

    assert text.split("\n")[1] == "/model/a.b-v1%253A0/converse"


def test_the_time_is_utc_wherever_the_clock_stands():
    request = UpstreamRequest(URL, (), b"{}")
    elsewhere = NOW.astimezone(timezone(timedelta(hours=5)))

    assert bedrock_sigv4.signed(request, key=KEY, now=elsewhere) == bedrock_sigv4.signed(
        request, key=KEY, now=NOW
    )


def test_a_key_does_not_show_its_secret():
    assert "wJalr" not in repr(KEY)

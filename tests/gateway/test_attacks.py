"""
Attacks of the list kept beside the repository (../shared/reliability.md) that no other test tries as such:
A1, A2, B3, D2, D4, D10, E1, F2, F9. The whole list with its tests is docs/attacks.md.
"""

import random
import string
from urllib.parse import quote

import pytest

from gateway import api_urls
from tests.gateway import books

SQL = (
    "' OR '1'='1",
    "sk-exr-live-x'; DROP TABLE apikeys_apikey; --",
    "sk-exr-live-' UNION SELECT key_hash FROM apikeys_apikey --",
    "sk-exr-live-%27%20OR%201=1",
    "\\' OR 1=1 --",
)
PATHS = ["/" + str(pattern.pattern).replace("<path:name>", "m") for pattern in api_urls.urlpatterns]
OPEN = {"/v1/openapi.json"}


@pytest.mark.parametrize("path", PATHS)
def test_a1_sql_in_a_credential_is_a_wrong_credential(gateway, path):
    for credential in SQL:
        answer = gateway.request("GET", path, headers={"authorization": f"Bearer {credential}"})

        if path in OPEN:
            assert answer.status == 200
        else:
            assert (answer.status, answer.error["code"]) == (401, "invalid_api_key")


def test_a2_keys_that_begin_alike_are_never_taken_for_each_other(shop):
    assert shop.chat().status == 200  # it is known now
    dice = random.Random(7)

    for shared in (20, 30, 40, len(shop.secret) - 1):
        rest = "".join(dice.choices(string.ascii_letters, k=len(shop.secret) - shared))
        forged = shop.secret[:shared] + rest
        if forged != shop.secret:
            assert shop.gateway.chat(forged, model=shop.model).status == 401


@pytest.mark.parametrize(
    "field", ["base_url", "api_base", "host", "api_key", "organization", "headers", "proxy"]
)
def test_e1_addresses_and_credentials_in_a_body_go_nowhere(shop, field):
    value = "http://127.0.0.1:1/canary"

    answer = shop.chat(**{field: value}, extra_body={field: value})

    (call,) = shop.upstream.calls_of(shop.model)
    assert answer.status == 200
    assert field in answer.headers["x-exerati-ignored-params"]
    assert "canary" not in str(call.body)


@pytest.mark.parametrize(
    "header", ["x-base-url", "x-portkey-custom-host", "x-forwarded-host", "proxy-authorization"]
)
def test_e1_addresses_and_credentials_in_headers_go_nowhere(shop, header):
    body = {"model": shop.model, "messages": [{"role": "user", "content": "Hello"}]}

    answer = shop.gateway.request(
        "POST", "/v1/chat/completions", key=shop.secret, body=body, headers={header: "canary"}
    )

    (call,) = shop.upstream.calls_of(shop.model)
    assert answer.status == 200
    assert "canary" not in str(call.headers)


ODD = {
    "NUL": "a\0b",
    "bidi": "a\u202eb\u2066c",
    "joiners": "a\u200db" * 100,
    "combining marks": "a" + "\u0301" * 100_000,
    "line separators": "a\u2028b\u2029c\x85d",
    "private use and no characters": "\ue000\uffff\U0010ffff",
}


@pytest.mark.parametrize("odd", ODD)
def test_f2_odd_characters_are_stored_or_refused_but_break_nothing(shop, odd):
    text = ODD[odd]
    fields = {"user": text, "metadata": {"a": text[:500]}, "safety_identifier": text}

    answers = [shop.chat(text=text), *(shop.chat(**{name: fields[name]}) for name in fields)]
    answers.append(shop.chat(model=text))

    assert all(answer.status in (200, 400, 404) for answer in answers)
    assert all("message" in answer.error for answer in answers if answer.status != 200)
    assert books.settled(shop.organization, calls=sum(a.status == 200 for a in answers) or 1)


def test_f9_nothing_of_a_request_makes_a_line_of_the_log(shop):
    forged = "x\n2026-01-01 CRITICAL forged\x1b[31m line"

    shop.chat(model=forged)
    shop.script(status=500, error={"message": forged})
    shop.chat()

    assert "\x1b" not in shop.gateway.log
    assert not [line for line in shop.gateway.log.splitlines() if line.startswith("2026-01-01")]


@pytest.mark.parametrize(
    "fields",
    [
        {"n": 1000},
        {"n": 0},
        {"best_of": 1000},
        {"web_search_options": {}},
        {"tools": [{"type": "web_search"}]},
        {"tools": [{"type": "function", "function": {"name": f"f{n}"}} for n in range(10_000)]},
        {"stop": ["x"] * 1000},
        {"max_completion_tokens": 10**9},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_d2_d4_d10_what_would_cost_without_a_bound_is_refused_or_bounded(shop, fields):
    answer = shop.chat(**fields)

    if answer.status == 200:  # bounded: what is sent on is within what was reserved
        (call,) = shop.upstream.calls_of(shop.model)
        assert call.body.get("n", 1) <= 128
        assert call.body["max_completion_tokens"] <= 16_384
        assert "best_of" not in call.body
    else:
        assert (answer.status, answer.error["type"]) == (400, "invalid_request_error")
        assert not shop.upstream.calls_of(shop.model)


@pytest.mark.parametrize(
    "odd", ["../../admin", "..%2f..%2fadmin", "?key=1", "#x", "%00", "\r\nx: y", "\\..\\x", "//x"]
)
def test_b3_a_path_in_a_name_reaches_no_provider(shop, odd):
    name = shop.model + odd
    quoted = quote(name, safe="")

    chat = shop.chat(model=name)
    found = shop.gateway.request("GET", f"/v1/models/{quoted}", key=shop.secret)
    generation = shop.gateway.request("GET", f"/v1/generation?id={quoted}", key=shop.secret)

    assert (chat.status, chat.error["code"]) == (404, "model_not_found")
    assert (found.status, generation.status) == (404, 404)
    assert not shop.upstream.calls

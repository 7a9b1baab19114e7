"""Every address of /v1, by the URL table and beyond it: who is let in, which methods, and what bodies."""

import json
import re
import socket
from pathlib import Path

import pytest

from gateway import api_urls
from tests.gateway import books

SAMPLES = {
    "model": "v1/models/sandbox/echo",
    "model_endpoints": "v1/models/sandbox/echo/endpoints",
}
PUBLIC = ["/v1/openapi.json"]  # all that is open to everybody
READS = {
    "/v1/models",
    "/v1/models/sandbox/echo",
    "/v1/models/sandbox/echo/endpoints",
    "/v1/key",
    "/v1/generation",
    *PUBLIC,
}


def paths():
    for pattern in api_urls.urlpatterns:
        yield "/" + SAMPLES.get(str(pattern.name), str(pattern.pattern))


def methods_of(path):
    return {"GET", "HEAD"} if path in READS else {"POST"}


ALL_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PURGE")
# OpenAI has these methods, so that they are answered as what is not offered.
THEIRS = {("/v1/chat/completions", "GET"), ("/v1/models/sandbox/echo", "DELETE")}
REFUSED = [
    (p, m) for p in paths() for m in ALL_METHODS if m not in methods_of(p) and (p, m) not in THEIRS
]
SPECIFICATION = Path(__file__).parents[3] / "shared" / "contracts" / "openai-openapi.yaml"
# Every route of OpenAI's specification that is served; each of the others is answered with 501.
SERVED = {
    ("POST", "/v1/chat/completions"),
    ("POST", "/v1/completions"),
    ("POST", "/v1/responses"),
    ("POST", "/v1/responses?beta=true"),
    ("POST", "/v1/responses/input_tokens"),
    ("POST", "/v1/responses/input_tokens?beta=true"),
    ("POST", "/v1/embeddings"),
    ("POST", "/v1/moderations"),
    ("POST", "/v1/images/generations"),
    ("POST", "/v1/images/edits"),
    ("POST", "/v1/audio/speech"),
    ("POST", "/v1/audio/transcriptions"),
    ("POST", "/v1/audio/translations"),
    ("GET", "/v1/models"),
    ("GET", "/v1/models/x"),
}


def raw(port: int, head: str, body: bytes = b"", *, seconds: float = 60) -> bytes:
    """Return all that the gateway says to bytes as they are."""
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as connection:
        connection.sendall(head.replace("\n", "\r\n").encode("latin-1") + body)
        answer = b""
        while b"\r\n\r\n" not in answer or b"}}" not in answer:
            data = connection.recv(65536)
            if not data:
                break
            answer += data
        return answer


@pytest.mark.parametrize(
    ("path", "method"),
    [
        (path, method)
        for path in paths()
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE")
        if path not in PUBLIC
    ],
)
def test_no_route_answers_without_a_key(gateway, path, method):
    answer = gateway.request(method, path, body={} if method == "POST" else None)

    assert (answer.status, answer.error["code"]) == (401, "missing_api_key")
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize(("path", "method"), REFUSED)
def test_methods_a_route_does_not_have_are_refused_in_json(shop, path, method):
    answer = shop.gateway.request(method, path, key=shop.secret)

    assert answer.status == 405
    if method != "HEAD":
        assert answer.error["code"] == "method_not_allowed"
    assert set(answer.headers["allow"].split(", ")) == methods_of(path) | {"OPTIONS"}


@pytest.mark.parametrize(
    "path",
    [
        "/v1",
        "/v1/",
        "/v1/chat",
        "/v1/chat/completions/",
        "/v1/chat/completion",
        "/v1//models",
        "/v1/models%2f",
        "/v1/%2e%2e/admin/",
        "/v1/../admin/",
        "/v1/admin/",
        "/v1/\u00e9",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_addresses_nobody_has_are_404_in_json(gateway, method, path):
    head = f"{method} {path} HTTP/1.1\nhost: x\ncontent-length: 0\nconnection: close\n\n"

    answer = raw(gateway.port, head)

    status = int(answer.split()[1])
    assert status in (400, 401, 404)
    if status != 400:  # a line that is no HTTP is refused by the server itself
        code = json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"]
        assert code in ("unknown_url", "missing_api_key")


def routes_of_openai():
    """Return method and address of every route in OpenAI's specification, with `x` for what an address names."""
    lines = SPECIFICATION.read_text().splitlines()
    lines = lines[lines.index("paths:") : lines.index("components:")]
    path = ""
    for line in lines:
        if found := re.fullmatch(r"  ['\"]?(/[^:'\"]*)['\"]?:", line):
            path = "/v1" + re.sub(r"{[^}]*}", "x", found[1])
        elif found := re.fullmatch(r"    (get|post|put|patch|delete):", line):
            yield found[1].upper(), path


@pytest.mark.skipif(not SPECIFICATION.exists(), reason="OpenAI's specification is not at hand")
def test_every_route_of_openai_is_served_or_said_not_to_be_offered(shop):
    routes = sorted(set(routes_of_openai()))

    answers = {}
    for method, path in routes:
        body: dict[str, str] | None = {} if method == "POST" else None
        answer = shop.gateway.request(method, path, key=shop.secret, body=body)
        answers[method, path] = answer.error["code"] if answer.status >= 400 else ""

    missing = {route for route, code in answers.items() if code == "not_supported"}
    assert len(routes) > 250
    assert set(routes) - missing == SERVED
    assert {answers[route] for route in SERVED}.isdisjoint({"unknown_url", "method_not_allowed"})


@pytest.mark.parametrize("path", [f"/{prefix}" for prefix in api_urls.NOT_SUPPORTED])
def test_routes_of_openai_that_are_not_offered_say_so(gateway, path):
    answer = gateway.request("POST", path, body={})

    assert (answer.status, answer.error["code"]) == (501, "not_supported")
    assert answer.error["docs_url"]


@pytest.mark.parametrize("path", [*paths(), "/v1/no-such"])
def test_preflight_is_answered_without_a_key_and_without_credentials(gateway, path):
    headers = {
        "origin": "https://app.example",
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization, content-type",
    }

    answer = gateway.request("OPTIONS", path, headers=headers)

    assert answer.status == 204
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "authorization" in answer.headers["access-control-allow-headers"]
    assert "access-control-allow-credentials" not in answer.headers


def test_head_works_on_the_site_and_on_the_list_of_models(shop):
    assert shop.gateway.request("HEAD", "/").status == 200
    models = shop.gateway.request("HEAD", "/v1/models", key=shop.secret)
    assert (models.status, models.body) == (200, b"")


def test_every_answer_has_our_id_and_may_be_read_by_any_page(shop):
    answers = [shop.chat(), shop.gateway.request("GET", "/v1/no-such"), shop.chat(model="none")]

    ids = [answer.headers["x-request-id"] for answer in answers]
    assert all(id.startswith("req_") for id in ids)
    assert len(set(ids)) == 3
    for answer in answers:
        assert answer.headers["access-control-allow-origin"] == "*"
        assert answer.headers["cache-control"] == "no-store"


def test_id_of_the_client_is_kept_but_never_used_as_ours(shop):
    body = {"model": shop.model, "messages": [{"role": "user", "content": "Hi"}]}
    headers = {"x-request-id": "mine-1"}
    answers = [
        shop.gateway.request(
            "POST", "/v1/chat/completions", key=shop.secret, body=body, headers=headers
        )
        for _ in range(2)
    ]

    events = books.settled(shop.organization, calls=2)
    assert [answer.status for answer in answers] == [200, 200]
    assert [event.client_request_id for event in events] == ["mine-1", "mine-1"]
    assert answers[0].headers["x-request-id"] != "mine-1"


BAD_BODIES = [
    b"",
    b"   ",
    b"{",
    b"[]",
    b'"text"',
    b"null",
    b'{"model": "m", "model": "n"}',
    b'{"a": NaN}',
    b'{"a": 1e999}',
    b'{"a": ' + b"9" * 5000 + b"}",
    b'{"a": "\\ud83d"}',
    b"\xef\xbb\xbf{}",
    b"\xff\xfe{\x00}\x00",
    b'{"a": ' + b"[" * 100 + b"]" * 100 + b"}",
    b"{} {}",
    b'{"a": "\x00"}',
]


@pytest.mark.parametrize("body", BAD_BODIES, ids=lambda body: repr(body[:24]))
def test_bodies_that_are_no_plain_json_object_are_refused(shop, body):
    answer = shop.gateway.request(
        "POST",
        "/v1/chat/completions",
        key=shop.secret,
        body=body,
        headers={"content-type": "application/json"},
    )

    assert (answer.status, answer.error["code"]) == (400, "invalid_json")
    assert shop.upstream.calls == []


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json", 200),
        ("application/json; charset=utf-8", 200),
        ("Application/JSON", 200),
        ("", 200),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("multipart/form-data; boundary=x", 415),
    ],
)
def test_content_type_is_json_or_not_given(shop, content_type, status):
    body = {"model": shop.model, "messages": [{"role": "user", "content": "Hi"}]}

    answer = shop.gateway.request(
        "POST",
        "/v1/chat/completions",
        key=shop.secret,
        body=json.dumps(body).encode(),
        headers={"content-type": content_type} if content_type else {},
    )

    assert answer.status == status
    if status == 415:
        assert answer.error["code"] == "unsupported_media_type"


def test_body_declared_too_large_is_refused_before_it_is_sent(shop):
    head = (
        "POST /v1/chat/completions HTTP/1.1\nhost: x\n"
        f"authorization: Bearer {shop.secret}\ncontent-length: 99999999\n\n"
    )

    answer = raw(shop.gateway.port, head)

    assert b" 413 " in answer.splitlines()[0]
    assert b'"request_too_large"' in answer


def test_body_sent_in_chunks_is_refused_once_it_is_too_large(shop):
    head = (
        "POST /v1/chat/completions HTTP/1.1\nhost: x\n"
        f"authorization: Bearer {shop.secret}\ntransfer-encoding: chunked\n\n"
    )
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"

    answer = raw(shop.gateway.port, head, chunk * 17)

    assert b" 413 " in answer.splitlines()[0]


@pytest.mark.parametrize("sent", [b"", b'{"model"'])
def test_body_that_comes_too_slowly_is_given_up(shop, sent):
    head = (
        "POST /v1/chat/completions HTTP/1.1\nhost: x\n"
        f"authorization: Bearer {shop.secret}\ncontent-length: 100\n\n"
    )

    answer = raw(shop.gateway.port, head, sent)

    assert b" 408 " in answer.splitlines()[0]
    assert b'"request_timeout"' in answer


def test_request_that_both_counts_and_chunks_its_body_is_refused(shop):
    head = (
        "POST /v1/chat/completions HTTP/1.1\nhost: x\ncontent-length: 4\n"
        "transfer-encoding: chunked\nconnection: close\n\n"
    )

    answer = raw(shop.gateway.port, head, b"0\r\n\r\nGET /v1/models HTTP/1.1\r\n\r\n")

    assert answer.count(b"HTTP/1.1 ") == 1
    assert int(answer.split()[1]) in (400, 401)

"""
Random requests at a running gateway: none fails on our side, every refusal is our envelope with a code of the table,
and every answer is what the description of /v1 says. `EXERATI_FUZZ` is how many, `EXERATI_FUZZ_SEED` which.
"""

import http.client
import json
import logging
import os
from collections import Counter
from functools import cache
from typing import Any

import hypothesis
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from jsonschema import Draft202012Validator

from gateway.api_error import CODES
from gateway.documentation.docs_values import ERROR_WORDS
from tests.gateway import books, fuzz_cases
from tests.gateway.fuzz_cases import DESCRIPTION, MODEL, Case
from tests.gateway.media_shop import sell
from tests.gateway.test_one_path import RATES
from tests.gateway_server import Answer

EXAMPLES = int(os.environ.get("EXERATI_FUZZ", "300"))
FULL = "EXERATI_FUZZ" in os.environ
SEED = int(os.environ.get("EXERATI_FUZZ_SEED", "1"))
SECONDS = 60
ANTHROPIC = ("/messages", "/messages/count_tokens")  # answered in its envelope
KNOWN_CODES = {*CODES, *ERROR_WORDS}
KINDS = {
    "/embeddings": "embedding",
    "/images/generations": "image",
    "/images/edits": "image",
    "/audio/speech": "speech",
    "/audio/transcriptions": "transcription",
    "/audio/translations": "transcription",
    "/moderations": "moderation",
    "/rerank": "rerank",
}

logger = logging.getLogger(__name__)


class Target:
    """The gateway under test, with a model of every kind, and what it has answered so far."""

    def __init__(self, shop: Any) -> None:
        self.shop = shop
        self.test_key = shop.make_key(mode="test")
        self.models = {kind: sell(shop, kind, **RATES[kind]) for kind in set(KINDS.values())}
        self.models["chat"] = shop.model
        self.seen: Counter[str] = Counter()

    def send(self, case: Case) -> Answer:
        """Return the answer to a case."""
        model = self.models[KINDS.get(case.path, "chat")]
        body = case.body and case.body.replace(MODEL.encode(), model.encode())
        path = "/v1" + case.path.replace(MODEL, model)
        headers = dict(case.headers)
        if case.has_key and "authorization" not in headers:
            key = self.test_key if case.is_test_key else self.shop.secret
            headers["authorization"] = f"Bearer {key}"
        # By hand, since what a header says is to go out as it is.
        connection = http.client.HTTPConnection(
            "127.0.0.1", self.shop.gateway.port, timeout=SECONDS
        )
        try:
            connection.request(case.method, path, body=body, headers=headers)
            response = connection.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, found, response.read())
        finally:
            connection.close()

    def check(self, case: Case) -> None:
        """Send a case and assert what holds for every answer."""
        answer = self.send(case)
        path = case.path.partition("?")[0]
        operation = operation_of(case.method, path)
        if answer.status < 300:
            self.seen["2xx"] += 1
            if answer.status == 200 and case.method != "HEAD":
                check_content(answer, operation)
            return
        assert answer.headers["content-type"] == "application/json"
        if case.method == "HEAD":
            return
        code = answer.error["code"]
        self.seen[code] += 1
        assert answer.status < 500 or code == "not_supported", answer.body
        assert code in KNOWN_CODES
        assert answer.headers["x-request-id"].startswith("req_")
        is_message = path in ANTHROPIC and code != "invalid_http"  # that is told before any path
        validator("MessageError" if is_message else "Error").validate(answer.json)
        assert not operation or str(answer.status) in operation["responses"], answer.status


def operation_of(method: str, path: str) -> dict[str, Any]:
    """Return what the description says of an address and method; nothing of those it does not have."""
    item = DESCRIPTION["paths"].get(path, {})
    if not item and path.startswith("/models/") and path.rstrip("/") != "/models":
        name = "/models/{id}/endpoints" if path.endswith("/endpoints") else "/models/{id}"
        item = DESCRIPTION["paths"][name]
    found: dict[str, Any] = item.get(method.lower(), {}) if method.isupper() else {}
    return found


@cache
def validator(schema: str) -> Any:
    """Return what checks an answer against a schema of the description."""
    reference = {"$ref": f"#/components/schemas/{schema}", "components": DESCRIPTION["components"]}
    return Draft202012Validator(reference)


def check_content(answer: Answer, operation: dict[str, Any]) -> None:
    """Assert that a good answer is of a kind, and a shape, that the description names."""
    content = operation["responses"]["200"]["content"]
    kind = answer.headers["content-type"].partition(";")[0]
    assert kind in content or f"{kind.partition('/')[0]}/*" in content, kind
    if kind == "application/json":
        schema = content[kind]["schema"]
        Draft202012Validator({**schema, "components": DESCRIPTION["components"]}).validate(
            answer.json
        )
    if kind == "text/event-stream":
        for line in answer.body.decode().split("\n"):  # text may have other ends of lines inside
            if line.startswith("data: ") and line != "data: [DONE]":
                event = json.loads(line.removeprefix("data: "))
                assert "error" not in event or event["error"] is None, event


def fuzz(target: Target, cases: Any, *, examples: int) -> None:
    """Check so many cases, always the same for one seed; what fails is made small first."""

    @hypothesis.seed(SEED)
    @settings(
        max_examples=examples,
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
        print_blob=True,
    )
    @given(case=cases)
    def each(case: Case) -> None:
        target.check(case)

    logger.info("%s examples of EXERATI_FUZZ_SEED=%s", examples, SEED)
    each()
    logger.info("answered: %s", dict(target.seen.most_common()))


@pytest.fixture
def target(shop: Any) -> Target:
    """The gateway with a model of every kind."""
    return Target(shop)


def test_no_body_makes_the_gateway_fail_or_answer_otherwise_than_described(target):
    fuzz(target, fuzz_cases.body_cases(), examples=EXAMPLES * 3 // 4)

    assert target.seen["2xx"] > EXAMPLES // 20  # bodies that are not broken get through
    assert len(target.seen) > 5
    books.settled(target.shop.organization, at_least=True)


def test_no_wrong_value_of_any_one_parameter_makes_the_gateway_fail(target):
    tried = Counter[str]()

    for name, case in fuzz_cases.wrong_cases(types_only=not FULL):
        try:
            target.check(case)
        except Exception as error:
            error.add_note(f"{name}: {case.body[:500] if case.body else b''!r}")
            raise
        tried[name] += 1

    logger.info("%s parameters, answered: %s", len(tried), dict(target.seen.most_common()))
    assert len(tried) > 200
    assert target.seen["invalid_type"] > len(tried)
    books.settled(target.shop.organization, at_least=True)


def test_no_address_method_query_or_header_makes_the_gateway_fail(target):
    fuzz(target, fuzz_cases.address_cases(), examples=EXAMPLES // 4)

    assert target.seen["2xx"]
    assert {"unknown_url", "method_not_allowed", "not_supported"} <= set(target.seen)

"""Generated from the table of errors: whatever the code, the answer has it, an id, and a link that leads there."""

import json
import re

import pytest
from django.test import Client
from django.urls import reverse

from gateway import errors
from gateway.api_error import CODES, ApiError
from gateway.dialects.messages import error_body
from gateway.documentation.docs_values import ERROR_WORDS

ALL_CODES = sorted({*CODES, *ERROR_WORDS})
CODE = re.compile(r"[a-z][a-z0-9_]*")


@pytest.fixture(scope="module")
def page(django_db_setup, django_db_blocker):
    """Return the HTML of the documentation's page of errors."""
    with django_db_blocker.unblock():
        answer = Client().get(reverse("docs_page", args=["errors"]))
    assert answer.status_code == 200
    return answer.content.decode()


@pytest.mark.parametrize("code", ALL_CODES)
def test_every_code_has_words_a_status_and_a_line_of_its_own_in_the_documentation(code, page):
    error = ApiError(code, "What happened.")

    assert CODE.fullmatch(code)
    assert 400 <= error.status <= 599
    what, fix = ERROR_WORDS[code]
    assert what.endswith(".")
    assert fix.endswith(".")
    assert page.count(f'id="{code}"') == 1


@pytest.mark.parametrize("code", ALL_CODES)
@pytest.mark.parametrize("write", [errors.body, error_body], ids=["openai", "anthropic"])
def test_every_answer_carries_code_request_id_and_docs_link(code, write):
    body = write(ApiError(code, "What happened."), request_id="req_1")

    told = body["error"]
    assert told["code"] == code
    assert told["docs_url"].endswith(f"/docs/errors#{code}")
    assert "req_1" in (told.get("request_id"), body.get("request_id"))
    assert told["message"] == "What happened."


@pytest.mark.parametrize("code", ALL_CODES)
def test_every_error_in_a_stream_carries_the_same(code):
    told = json.loads(errors.stream_error(ApiError(code, "x"), request_id="req_1"))["error"]

    assert (told["code"], told["request_id"]) == (code, "req_1")
    assert told["docs_url"].endswith(f"#{code}")

"""What every answer of the site has: an id that the log has too, and words where Django gives none."""

import logging
import re
from collections.abc import Awaitable
from typing import cast

import pytest
from django.core.cache import cache
from django.http import HttpResponse
from django.test import Client

from exerati.answers import AnswersMiddleware
from exerati.log_ids import RequestIdFilter

ID = re.compile(r"req_[0-9a-z]{26}")


def test_every_answer_has_an_id_of_its_own(client):
    first, second = (client.get("/legal/terms/")["x-request-id"] for _ in range(2))

    assert ID.fullmatch(first)
    assert ID.fullmatch(second)
    assert first != second


@pytest.mark.django_db
def test_error_page_shows_the_id_of_its_answer(client):
    answer = client.get("/nothing-here")

    assert answer.status_code == 404
    assert answer["x-request-id"] in answer.content.decode()


def test_id_of_a_client_is_not_taken_for_ours(client):
    answer = client.get("/legal/terms/", headers={"x-request-id": "req_mine"})

    assert answer["x-request-id"] != "req_mine"


@pytest.mark.django_db
def test_page_that_fails_names_the_id_that_stands_in_the_log(caplog, monkeypatch):
    monkeypatch.setattr("exerati.views.LEGAL_PAGES", None)  # which the page cannot do without
    caplog.handler.addFilter(RequestIdFilter())

    answer = Client(raise_request_exception=False).get("/legal/terms/")

    [record] = [one for one in caplog.records if one.levelno >= logging.ERROR]
    assert answer.status_code == 500
    assert answer["x-request-id"] in answer.content.decode()
    assert vars(record)["request_id"] == f" {answer['x-request-id']}"


def test_line_of_the_log_without_a_request_has_no_id():
    record = logging.makeLogRecord({"msg": "x"})

    assert RequestIdFilter().filter(record)
    assert vars(record)["request_id"] == ""


@pytest.mark.django_db
def test_form_address_that_is_looked_at_says_what_it_is(alice_client, acme):
    """A page that a form led to is loaded anew, or comes from the history."""
    answer = alice_client.get(
        f"/dashboard/{acme.slug}/team/invite/", headers={"accept": "text/html"}
    )

    html = answer.content.decode()
    assert answer.status_code == 405
    assert answer["Allow"] == "POST"
    assert "only takes forms" in html
    assert answer["x-request-id"] in html


@pytest.mark.django_db
def test_program_gets_no_page_for_a_wrong_method(alice_client, acme):
    answer = alice_client.get(f"/dashboard/{acme.slug}/team/invite/", headers={"accept": "*/*"})

    assert answer.status_code == 405
    assert answer.content == b""


@pytest.mark.django_db
def test_too_many_tries_have_a_page_of_ours(client, settings):
    cache.clear()
    settings.ACCOUNT_RATE_LIMITS = {"signup": "1/m/ip"}

    answers = [client.post("/register", {}) for _ in range(2)]

    assert answers[-1].status_code == 429
    assert "Too many tries" in answers[-1].content.decode()
    assert answers[-1]["x-request-id"] in answers[-1].content.decode()
    cache.clear()


@pytest.mark.anyio
async def test_async_chain_has_ids_too(rf):
    async def page(request):
        return HttpResponse(request.request_id)

    answer = await cast(Awaitable[HttpResponse], AnswersMiddleware(page)(rf.get("/")))

    assert answer["x-request-id"] == answer.content.decode()

"""What was made for one visitor is kept by no cache; what is the same for all may be."""

import asyncio
from collections.abc import Awaitable
from typing import cast

import pytest
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import reverse

from exerati.private_pages import PrivatePagesMiddleware


def kept_by(answer):
    return {part.strip() for part in answer.get("Cache-Control", "").split(",") if part.strip()}


@pytest.mark.django_db
@pytest.mark.parametrize("address", ["/", "/models/", "/dashboard/", "/nothing-here"])
def test_b9_what_a_visitor_with_a_session_sees_is_kept_by_no_cache(alice_client, address):
    assert {"private", "no-store"} <= kept_by(alice_client.get(address))


@pytest.mark.django_db
def test_b9_pages_of_an_organization_are_kept_by_no_cache(alice_client, acme):
    for name in ("overview", "keys", "team", "settings"):
        answer = alice_client.get(reverse(f"dashboard:{name}", args=[acme.slug]))

        assert answer.status_code == 200
        assert {"private", "no-store"} <= kept_by(answer)


@pytest.mark.django_db
def test_b9_a_page_that_sets_a_cookie_is_kept_by_no_cache(client):
    answer = client.get("/login")  # its form has a token of this visitor's

    assert answer.cookies
    assert {"private", "no-store"} <= kept_by(answer)


@pytest.mark.django_db
def test_a_page_for_nobody_in_particular_may_be_kept(client):
    answer = client.get("/legal/terms/")

    assert answer.status_code == 200
    assert not answer.cookies
    assert not kept_by(answer)


def test_b9_nothing_of_ours_keeps_pages_itself():
    assert not [name for name in settings.MIDDLEWARE if "cache" in name.lower()]


def test_an_asynchronous_chain_is_served_without_a_thread():
    async def view(request):
        return HttpResponse("hello")

    request = HttpRequest()
    request.COOKIES = {"sessionid": "x"}

    async def served() -> HttpResponseBase:
        return await cast(Awaitable[HttpResponseBase], PrivatePagesMiddleware(view)(request))

    answer = asyncio.run(served())

    assert {"private", "no-store"} <= kept_by(answer)

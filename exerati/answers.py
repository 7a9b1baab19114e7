"""
What every answer of the site has: an id, also in its line of the log, and words where Django gives none.

The id is ours alone, whatever a client sends. Error pages show it, so that support finds the line of the log. A method
that an address does not take is answered by Django with an empty page: whoever loads the page anew that a form led to
would see nothing.
"""

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import cast

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from exerati import views
from exerati.lib import ids

GetResponse = Callable[[HttpRequest], HttpResponseBase | Awaitable[HttpResponseBase]]


class AnswersMiddleware:
    """Stands outside of all others; runs in both sync and async chains without a thread hop."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        request.request_id = ids.public_id("req")  # type: ignore[attr-defined]
        if self.is_async:
            return self._later(request)
        return _told(request, cast(HttpResponseBase, self.get_response(request)))

    async def _later(self, request: HttpRequest) -> HttpResponseBase:
        return _told(request, await cast(Awaitable[HttpResponseBase], self.get_response(request)))


def _told(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    if response.status_code == HTTPStatus.METHOD_NOT_ALLOWED and _is_empty_page(request, response):
        page = views.method_not_allowed(request)
        page["Allow"] = response["Allow"]
        response = page
    # An answer of a call from the playground has the id of the call, which its error and the request log name.
    response.headers.setdefault("x-request-id", request.request_id)  # type: ignore[attr-defined]
    return response


def _is_empty_page(request: HttpRequest, response: HttpResponseBase) -> bool:
    """Say whether a person would be shown nothing; programs look at the status."""
    wants_page = "text/html" in request.headers.get("accept", "")
    return wants_page and isinstance(response, HttpResponse) and not response.content

"""Middleware that does something before and after the others, in sync and async chains without a thread hop."""

from collections.abc import Awaitable, Callable
from typing import cast

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest
from django.http.response import HttpResponseBase

GetResponse = Callable[[HttpRequest], HttpResponseBase | Awaitable[HttpResponseBase]]


class BothWays:
    """A middleware says in `arrive` what to do with the request, and in `leave` what becomes of the answer."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        self.arrive(request)
        if self.is_async:
            return self._later(request)
        return self.leave(request, cast(HttpResponseBase, self.get_response(request)))

    async def _later(self, request: HttpRequest) -> HttpResponseBase:
        answer = await cast(Awaitable[HttpResponseBase], self.get_response(request))
        return self.leave(request, answer)

    def arrive(self, request: HttpRequest) -> None:
        """Look at the request, or change it."""

    def leave(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """Return the answer that the visitor gets."""
        return response

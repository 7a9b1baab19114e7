"""
Keeps what was made for one visitor out of every cache between here and the browser, and out of the browser's own.

Whoever sends one of our cookies (a session, a form's token, a theme) or gets one is told `private, no-store`, also on
public pages, which name who is signed in. Pages for nobody in particular stay as they are.
"""

from collections.abc import Awaitable, Callable
from typing import cast

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.cache import patch_cache_control

GetResponse = Callable[[HttpRequest], HttpResponseBase | Awaitable[HttpResponseBase]]


class PrivatePagesMiddleware:
    """Stands outside of the middleware that sets cookies; runs in both sync and async chains without a thread hop."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        if self.is_async:
            return self._later(request)
        return _kept(request, cast(HttpResponseBase, self.get_response(request)))

    async def _later(self, request: HttpRequest) -> HttpResponseBase:
        return _kept(request, await cast(Awaitable[HttpResponseBase], self.get_response(request)))


def _kept(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    if request.COOKIES or response.cookies:
        patch_cache_control(response, private=True, no_store=True)
    return response

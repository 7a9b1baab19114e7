"""
Keeps what was made for one visitor out of every cache between here and the browser, and out of the browser's own.

Whoever sends one of our cookies (a session, a form's token, a theme) or gets one is told `private, no-store`, also on
public pages, which name who is signed in. Pages for nobody in particular stay as they are.
"""

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.cache import patch_cache_control

from exerati.both_ways import BothWays


class PrivatePagesMiddleware(BothWays):
    """Stands outside of the middleware that sets cookies."""

    def leave(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """Tell caches to keep their hands off, where cookies came or go."""
        if request.COOKIES or response.cookies:
            patch_cache_control(response, private=True, no_store=True)
        return response

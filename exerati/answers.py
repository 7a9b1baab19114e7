"""
What every answer of the site has: an id, also in its line of the log, and words where Django gives none.

The id is ours alone, whatever a client sends. Error pages show it, so that support finds the line of the log. A method
that an address does not take is answered by Django with an empty page: whoever loads the page anew that a form led to
would see nothing.
"""

from http import HTTPStatus

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from exerati import views
from exerati.both_ways import BothWays
from exerati.lib import ids


class AnswersMiddleware(BothWays):
    """Stands outside of all others."""

    def arrive(self, request: HttpRequest) -> None:
        """Give the request its id."""
        request.request_id = ids.public_id("req")  # type: ignore[attr-defined]

    def leave(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """Put the id on the answer, and a page where there would be none."""
        if response.status_code == HTTPStatus.METHOD_NOT_ALLOWED and _is_empty_page(
            request, response
        ):
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

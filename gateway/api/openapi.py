"""GET /v1/openapi.json: the description of /v1, kept by hand and tested against the URL table; open to everybody."""

from pathlib import Path
from typing import Final

from django.http import HttpResponseBase

from gateway.api.base import json_response
from gateway.async_view import AsyncAPIView
from gateway.context import CallContext

DOCUMENT: Final = Path(__file__).resolve().parent.parent / "openapi.json"
_CONTENT: Final = DOCUMENT.read_bytes()


class OpenApi(AsyncAPIView):
    """GET /v1/openapi.json."""

    is_public = True

    async def get(self, context: CallContext) -> HttpResponseBase:
        """Return the document."""
        return json_response(_CONTENT)

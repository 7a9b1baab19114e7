"""GET /v1/key and GET /v1/generation: what a key may see of itself and of its organization's calls."""

from django.http import HttpResponseBase
from django.utils import timezone

from gateway import generations, key_status
from gateway.api.base import encode, json_response
from gateway.api.reading import ReadingView
from gateway.context import CallContext
from gateway.wire_checks import missing


class KeyDetail(ReadingView):
    """GET /v1/key."""

    async def get(self, context: CallContext) -> HttpResponseBase:
        """Describe the key that asks."""
        found = await self.read(context, key_status.status, self.key.id, now=timezone.now())
        return json_response(encode(found))


class GenerationDetail(ReadingView):
    """GET /v1/generation?id=."""

    async def get(self, context: CallContext) -> HttpResponseBase:
        """Describe one call of the key's organization."""
        id = self.request.GET.get("id", "").strip()
        if not id:
            missing("id")
        found = await self.read(context, generations.record, self.key.organization_id, id=id)
        return json_response(encode(found))

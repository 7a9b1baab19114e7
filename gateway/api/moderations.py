"""POST /v1/moderations."""

from django.http import HttpResponseBase

from billing.types import TokenUsage
from gateway.api.base import parse_body
from gateway.api.media import MediaView
from gateway.context import CallContext
from gateway.dialects.chat import with_cost
from gateway.dispatch import as_served, serve_as
from gateway.media import units
from gateway.media.moderation_calls import parse_moderation
from gateway.providers.base import Adapter, UpstreamRequest, WholeAnswer
from gateway.providers.openai import openai_media
from gateway.routes import preferences
from gateway.snapshot import RouteSnapshot


class Moderations(MediaView):
    """POST /v1/moderations."""

    endpoint = "moderations"
    kind = "moderation"

    async def post(self, context: CallContext) -> HttpResponseBase:
        """Answer with what each input was found to be."""
        body = parse_body(context)
        wishes = preferences.take(body)
        wanted = parse_moderation(body)
        self.note_ignored(context, wanted.ignored + wishes.ignored)
        call = await self.let_in(
            context,
            self.served(context, wanted.model, wishes),
            wishes=wishes,
            bound=lambda one: wanted.bound(one.price),
            measure=lambda call: units.priced(
                TokenUsage(input_tokens=call.bound.input_tokens, calls=1), rates=call.price.rates
            ),
        )
        shown = serve_as(call, prefix="modr-")

        def build(adapter: Adapter, route: RouteSnapshot) -> UpstreamRequest:
            body = {**wanted.body, "model": route.upstream_model}
            return openai_media.json_request(route.upstream, path="/moderations", body=body)

        def read(adapter: Adapter, data: bytes) -> WholeAnswer:
            answer = openai_media.moderation_answer(data, serve_as=as_served(shown, call))
            answer.usage = units.told(answer.usage, rates=call.price.rates)
            return answer

        return await self.answer(context, call, build=build, read=read, write=with_cost)

"""POST /v1/moderations."""

from django.http import HttpResponseBase

from billing.types import TokenUsage
from gateway.api.base import parse_body
from gateway.api.media import MediaView
from gateway.context import CallContext
from gateway.dialects.chat import with_cost
from gateway.dispatch import serve_as
from gateway.media import units
from gateway.media.moderation_calls import parse_moderation
from gateway.providers import openai_media
from gateway.providers.base import Adapter, UpstreamRequest, WholeAnswer
from gateway.snapshot import RouteSnapshot


class Moderations(MediaView):
    """POST /v1/moderations."""

    endpoint = "moderations"
    kind = "moderation"

    async def post(self, context: CallContext) -> HttpResponseBase:
        """Answer with what each input was found to be."""
        wanted = parse_moderation(parse_body(context))
        self.note_ignored(context, wanted.ignored)
        model, price = self.find(context, wanted.model)
        bound = wanted.bound(price)
        call = await self.let_in(
            context,
            model=model,
            bound=bound,
            measure=lambda call: units.priced(
                TokenUsage(input_tokens=bound.input_tokens, calls=1), rates=call.price.rates
            ),
        )
        shown = serve_as(call, prefix="modr-")

        def build(adapter: Adapter, route: RouteSnapshot) -> UpstreamRequest:
            body = {**wanted.body, "model": route.upstream_model}
            return openai_media.json_request(route.upstream, path="/moderations", body=body)

        def read(adapter: Adapter, data: bytes) -> WholeAnswer:
            answer = openai_media.moderation_answer(data, serve_as=shown)
            answer.usage = units.told(answer.usage, rates=call.price.rates)
            return answer

        return await self.answer(context, call, build=build, read=read, write=with_cost)

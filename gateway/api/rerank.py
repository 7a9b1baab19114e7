"""POST /v1/rerank, in the form that Cohere, Jina and the gateways after them share."""

from django.http import HttpResponseBase

from gateway.api.base import parse_body
from gateway.api.media import MediaView
from gateway.context import CallContext
from gateway.dialects.chat import with_cost
from gateway.dispatch import as_served, serve_as
from gateway.media import units
from gateway.media.rerank_calls import parse_rerank
from gateway.providers import rerank
from gateway.providers.base import Adapter, UpstreamRequest, WholeAnswer
from gateway.routes import preferences
from gateway.snapshot import RouteSnapshot


class Rerank(MediaView):
    """POST /v1/rerank."""

    endpoint = "rerank"
    kind = "rerank"
    speaking = rerank.SPEAKING

    async def post(self, context: CallContext) -> HttpResponseBase:
        """Answer with the documents' places and scores, best first."""
        body = parse_body(context)
        wishes = preferences.take(body)
        wanted = parse_rerank(body)
        self.note_ignored(context, wanted.ignored + wishes.ignored)
        call = await self.let_in(
            context,
            self.served(context, wanted.model, wishes),
            wishes=wishes,
            bound=lambda one: wanted.bound(one.price),
            measure=lambda call: wanted.as_asked(call.price),
        )
        shown = serve_as(call, prefix="rrk-")

        def build(adapter: Adapter, route: RouteSnapshot) -> UpstreamRequest:
            return rerank.request(
                route.upstream,
                upstream_model=route.upstream_model,
                query=wanted.query,
                documents=wanted.documents,
                top_n=wanted.top_n,
                max_tokens_per_doc=wanted.max_tokens_per_doc,
            )

        def read(adapter: Adapter, data: bytes) -> WholeAnswer:
            answer = rerank.answer(
                data,
                serve_as=as_served(shown, call),
                documents=wanted.documents,
                return_documents=wanted.return_documents,
            )
            answer.usage = units.told(answer.usage, rates=call.price.rates)
            return answer

        return await self.answer(context, call, build=build, read=read, write=with_cost)

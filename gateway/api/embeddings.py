"""POST /v1/embeddings."""

from typing import Any

from django.http import HttpResponseBase

from billing.types import TokenUsage
from gateway import serializers, tokens
from gateway.admission import Admission
from gateway.api.base import MeteredView, parse_body
from gateway.context import CallContext
from gateway.dialects.chat import with_cost
from gateway.dispatch import serve_as
from gateway.providers import embedding_format
from gateway.providers.base import Adapter, UpstreamRequest, WholeAnswer
from gateway.routes import preferences
from gateway.routes.routing import find_model, routes_for
from gateway.snapshot import RouteSnapshot
from gateway.wire_checks import unsupported_value

_NO_FALLBACK = "vectors of different models cannot be compared. Name one model."


class Embeddings(MeteredView):
    """POST /v1/embeddings."""

    endpoint = "embeddings"

    async def post(self, context: CallContext) -> HttpResponseBase:
        """Answer with one vector for each input."""
        body = parse_body(context)
        wishes = preferences.take(body)
        if wishes.models:
            unsupported_value("models", _NO_FALLBACK)
        embeddings = serializers.parse_embeddings(body)
        self.note_ignored(context, embeddings.ignored + wishes.ignored)
        model = find_model(
            embeddings.model, kind="embedding", key=self.key, catalog=context.engine.catalog
        )
        routes = routes_for(model, key=self.key, catalog=context.engine.catalog, wishes=wishes)
        wanted = Admission(
            request_id=context.request_id,
            public_id=context.public_id,
            key=self.key,
            model=model,
            endpoint=self.endpoint,
            bound=tokens.embeddings_bound(embeddings, context_tokens=model.context_tokens),
            client_request_id=context.client_request_id,
            count_input=lambda: tokens.count_inputs(embeddings, model=model.name),
            routes=routes,
            wishes=wishes,
        )
        call = await self.admit(context, wanted)

        def build(adapter: Adapter, route: RouteSnapshot) -> UpstreamRequest:
            return adapter.embeddings_request(
                route.upstream, upstream_model=route.upstream_model, body=embeddings.body
            )

        shown = serve_as(call, prefix="embd-")

        def read(adapter: Adapter, data: bytes) -> WholeAnswer:
            answer = adapter.embeddings_answer(data, serve_as=shown)
            embedding_format.write_as(answer.body, encoding_format=embeddings.encoding_format)
            return answer

        return await self.answer(context, call, build=build, read=read, write=with_cost)

    def tell_counted(self, body: dict[str, Any], usage: TokenUsage) -> None:
        """Clients read `usage` without asking whether it is there."""
        body["usage"] = {"prompt_tokens": usage.input_tokens, "total_tokens": usage.input_tokens}

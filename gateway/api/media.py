"""What the endpoints of images, audio, moderation and reranking have in common."""

import asyncio
from collections.abc import Callable
from typing import Any, ClassVar

from billing.types import Price, TokenBound, TokenUsage
from gateway.admission import Admission, current_price
from gateway.api.base import MeteredView
from gateway.context import CallContext
from gateway.errors import unsupported_media_type
from gateway.media import forms, units
from gateway.media.forms import Form
from gateway.open_call import OpenCall
from gateway.providers import openai_media
from gateway.routing import NoRoute, find_model, routes_for
from gateway.snapshot import ModelSnapshot, RouteSnapshot

Measure = Callable[[OpenCall], TokenUsage]


class MediaView(MeteredView):
    """An endpoint for models of one kind, on the providers that have such a route."""

    kind: ClassVar[str]
    speaking: ClassVar[frozenset[str]] = openai_media.SPEAKING

    def find(self, context: CallContext, name: str) -> tuple[ModelSnapshot, Price]:
        """Return the model and its price of this moment. Raises ModelNotFound, ModelNotAllowed or NoRoute."""
        catalog = context.engine.catalog
        context.model = name
        model = find_model(name, kind=self.kind, key=self.key, catalog=catalog)
        self.routes_of(context, model)
        return model, current_price(model)

    def routes_of(self, context: CallContext, model: ModelSnapshot) -> tuple[RouteSnapshot, ...]:
        """Return the model's routes to providers that have such an endpoint. Raises NoRoute when there is none."""
        routes = routes_for(model, key=self.key, catalog=context.engine.catalog)
        found = tuple(route for route in routes if route.upstream.api in self.speaking)
        if not found:
            raise NoRoute(model.name)
        return found

    async def let_in(
        self,
        context: CallContext,
        *,
        model: ModelSnapshot,
        bound: TokenBound,
        measure: Measure,
        streamed: bool = False,
    ) -> OpenCall:
        """Admit the call; from here on it must be settled."""
        wanted = Admission(
            request_id=context.request_id,
            public_id=context.public_id,
            key=self.key,
            model=model,
            endpoint=self.endpoint,
            bound=bound,
            streamed=streamed,
            client_request_id=context.client_request_id,
            measure=measure,
            routes=self.routes_of(context, model),
        )
        return await self.admit(context, wanted)


async def parse_form(context: CallContext) -> Form:
    """Return the request's form, read in a thread, since it may be large. Raises ApiError or InvalidRequest."""
    content_type = context.header(b"content-type")
    if not forms.is_form(content_type):
        raise unsupported_media_type(content_type)
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(None, forms.parse, content_type, context.body)


def tell_of(call: OpenCall) -> Callable[[TokenUsage | None], TokenUsage | None]:
    """Return what turns a provider's usage into the units of the call's price."""
    return lambda usage: units.told(usage, rates=call.price.rates)


def with_usage(answer: dict[str, Any], usage: dict[str, Any]) -> dict[str, Any]:
    """Return the answer with a usage object, where it has none."""
    if not isinstance(answer.get("usage"), dict):
        answer["usage"] = usage
    return answer

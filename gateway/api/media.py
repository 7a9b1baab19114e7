"""What the endpoints of images, audio, moderation and reranking have in common."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Final

from billing.types import Price, TokenBound, TokenUsage
from gateway.admission import Admission, Fallback, current_price
from gateway.api.base import MeteredView, start_stream, wants_route
from gateway.context import CallContext
from gateway.dispatch import serve_as
from gateway.errors import unsupported_media_type
from gateway.media import form_fields, forms, units
from gateway.media.forms import Form
from gateway.open_call import OpenCall
from gateway.providers.openai import openai_media
from gateway.routes import preferences, route_detail
from gateway.routes.preferences import Preferences
from gateway.routes.routing import NoMatchingRoute, NoRoute, find_model, routes_for
from gateway.snapshot import ModelSnapshot, RouteSnapshot
from gateway.streaming import EventStream

Measure = Callable[[OpenCall], TokenUsage]


@dataclass(frozen=True, slots=True)
class Served:
    """A model that may serve, its price of this moment and its routes."""

    model: ModelSnapshot
    price: Price
    routes: tuple[RouteSnapshot, ...]

    def is_by(self, apis: frozenset[str]) -> bool:
        """Whether a provider with one of these APIs may serve."""
        return any(route.upstream.api in apis for route in self.routes)


class MediaView(MeteredView):
    """An endpoint for models of one kind, on the providers that have such a route."""

    kind: ClassVar[str]
    speaking: ClassVar[frozenset[str]] = openai_media.SPEAKING

    def served(self, context: CallContext, name: str, wishes: Preferences) -> list[Served]:
        """
        Return the model and the fallbacks that the request names, without those that nobody serves as long as there
        is another. Raises ModelNotFound, ModelNotAllowed, NoRoute or NoMatchingRoute.
        """
        catalog = context.engine.catalog
        context.model = name
        found, problem = [], None
        for one in (name, *wishes.models):
            model = find_model(one, kind=self.kind, key=self.key, catalog=catalog)
            try:
                routes = self._routes_of(context, model, wishes)
            except (NoRoute, NoMatchingRoute) as error:
                problem = problem or error
                continue
            found.append(Served(model, current_price(model), routes))
        if problem is not None and not found:
            raise problem
        return found

    def _routes_of(
        self, context: CallContext, model: ModelSnapshot, wishes: Preferences
    ) -> tuple[RouteSnapshot, ...]:
        """Return the model's routes to providers that have such an endpoint. Raises NoRoute, NoMatchingRoute."""
        catalog = context.engine.catalog
        routes = routes_for(model, key=self.key, catalog=catalog, wishes=wishes)
        found = tuple(route for route in routes if route.upstream.api in self.speaking)
        if not found:
            raise NoRoute(model.name)
        return found

    async def let_in(
        self,
        context: CallContext,
        served: Sequence[Served],
        *,
        wishes: Preferences,
        bound: Callable[[Served], TokenBound],
        measure: Measure,
        streamed: bool = False,
    ) -> OpenCall:
        """Admit the call; from here on it must be settled."""
        first = served[0]
        wanted = Admission(
            request_id=context.request_id,
            public_id=context.public_id,
            key=self.key,
            model=first.model,
            endpoint=self.endpoint,
            bound=bound(first),
            streamed=streamed,
            client_request_id=context.client_request_id,
            measure=measure,
            routes=first.routes,
            fallbacks=tuple([Fallback(one.model, bound(one), one.routes) for one in served[1:]]),
            wishes=wishes,
        )
        return await self.admit(context, wanted)


def event_stream(context: CallContext, call: OpenCall) -> EventStream:
    """Return the client's side of a stream of events."""
    return EventStream(context.send, partial(start_stream, context, call), call)


def told_route(context: CallContext, call: OpenCall) -> Callable[[], bytes]:
    """Return what tells of the tries before a stream's end, as a comment, where the request asks for it."""
    if not wants_route(context, call.wishes):
        return bytes
    return partial(route_detail.event, call, shown=serve_as(call, prefix=""), chunk_object="")


def form_wishes(form: Form) -> Preferences:
    """Return the wishes in a form and take them out of it; `provider` is JSON there. Raises InvalidRequest."""
    names = preferences.FIELDS & form.texts.keys()
    body = form_fields.typed({name: form.texts.pop(name) for name in names}, _WISHES)
    if "model" in form.texts:
        body["model"] = form.texts["model"][0]
    wishes = preferences.take(body)
    if "model" in body:
        form.texts.setdefault("model", [body["model"]])
    return wishes


_WISHES: Final = {"models": "array", "provider": "json", "include_route": "boolean"}


async def parse_form(context: CallContext) -> Form:
    """Return the request's form, read in a thread, since it may be large. Raises ApiError or InvalidRequest."""
    content_type = context.header(b"content-type")
    if not forms.is_form(content_type):
        raise unsupported_media_type(content_type, wanted="a form (multipart/form-data)")
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(None, forms.parse, content_type, context.body)


def tell_of(call: OpenCall) -> Callable[[TokenUsage | None], TokenUsage | None]:
    """Return what turns a provider's usage into the units of the call's price."""
    return lambda usage: units.told(usage, rates=call.price.rates)

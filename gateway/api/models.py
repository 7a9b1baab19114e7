"""GET /v1/models, one of them, and who serves it."""

from django.http import HttpResponseBase

from gateway import anthropic_models, model_list, model_routes
from gateway.api.base import encode, json_response
from gateway.api.reading import ReadingView, counted_apart
from gateway.async_view import AsyncAPIView
from gateway.context import CallContext
from gateway.routes.routing import ModelNotFound
from gateway.snapshot import ModelSnapshot


class ModelList(AsyncAPIView):
    """GET /v1/models."""

    async def get(self, context: CallContext) -> HttpResponseBase:
        """List the models this key may use, those that pass the filters of the address."""
        asked = self.request.GET
        filters = [(name, value) for name, values in asked.lists() for value in values]
        async with counted_apart(context, self.key):
            models = model_list.listed(context.engine.catalog, self.key, filters=filters)
        if context.header(anthropic_models.VERSION_HEADER):
            return json_response(encode(anthropic_models.listing(models, asked)))
        entries = [model_list.entry(model) for model in models]
        return json_response(encode({"object": "list", "data": entries}))


class ModelDetail(AsyncAPIView):
    """GET /v1/models/{id}; ids may contain slashes."""

    not_supported = frozenset({"DELETE"})

    async def get(self, context: CallContext, name: str) -> HttpResponseBase:
        """Describe one model."""
        model = self.find(context, name)
        is_anthropic = context.header(anthropic_models.VERSION_HEADER)
        entry = anthropic_models.entry if is_anthropic else model_list.entry
        return json_response(encode(entry(model)))

    def find(self, context: CallContext, name: str) -> ModelSnapshot:
        """Return a model in the key's scope; raises ModelNotFound."""
        model = context.engine.catalog.model_for(self.key.organization_id, name)
        if model is None or not model_list.is_listed(model, self.key):
            raise ModelNotFound(name)
        return model


class ModelEndpoints(ModelDetail, ReadingView):
    """GET /v1/models/{id}/endpoints."""

    not_supported = frozenset()

    async def get(self, context: CallContext, name: str) -> HttpResponseBase:
        """Tell who serves one model."""
        model = self.find(context, name)
        return json_response(encode(await self.read(context, model_routes.endpoints, model)))

"""GET /v1/models, one of them, and who serves it."""

from django.http import HttpResponseBase

from gateway import model_list, model_routes
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
        filters = [(name, value) for name, values in self.request.GET.lists() for value in values]
        async with counted_apart(context, self.key):
            listed = model_list.listing(context.engine.catalog, self.key, filters=filters)
        return json_response(listed)


class ModelDetail(AsyncAPIView):
    """GET /v1/models/{id}; ids may contain slashes."""

    not_supported = frozenset({"DELETE"})

    async def get(self, context: CallContext, name: str) -> HttpResponseBase:
        """Describe one model."""
        return json_response(encode(model_list.entry(self.find(context, name))))

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

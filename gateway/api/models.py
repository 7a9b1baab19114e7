"""GET /v1/models and one of them."""

from django.http import HttpResponseBase

from gateway import model_list
from gateway.api.base import encode, json_response
from gateway.async_view import AsyncAPIView
from gateway.context import CallContext
from gateway.routing import ModelNotFound


class ModelList(AsyncAPIView):
    """GET /v1/models."""

    async def get(self, context: CallContext) -> HttpResponseBase:
        """List the models this key may use."""
        return json_response(model_list.listing(context.engine.catalog, self.key))


class ModelDetail(AsyncAPIView):
    """GET /v1/models/{id}; ids may contain slashes."""

    async def get(self, context: CallContext, name: str) -> HttpResponseBase:
        """Describe one model."""
        model = context.engine.catalog.models.get(name)
        if model is None or not model_list.is_listed(model, self.key):
            raise ModelNotFound(name)
        return json_response(encode(model_list.entry(model)))

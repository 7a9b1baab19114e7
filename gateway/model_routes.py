"""
What `/v1/models/{id}/endpoints` says of the routes of a model: who serves it and whether that is switched on.

No address, no account and no name that a provider uses for it; the price is the model's, whichever route serves.
"""

from typing import Any

from gateway import model_list
from gateway.models import Route
from gateway.snapshot import ModelSnapshot, is_on


def endpoints(model: ModelSnapshot) -> dict[str, Any]:
    """Return the model's routes in the order they are tried; runs one query, so it belongs in a thread."""
    rows = (
        Route.objects.filter(model__name=model.name)
        .select_related("provider")
        .order_by("priority", "pk")
    )
    return {
        "data": {
            "id": model.name,
            "name": model.title,
            "created": model.created,
            "description": model.description,
            "architecture": {
                "input_modalities": model.input_modalities,
                "output_modalities": model.output_modalities,
            },
            "endpoints": [_endpoint(row, model) for row in rows],
        }
    }


def _endpoint(route: Route, model: ModelSnapshot) -> dict[str, Any]:
    is_usable = route.disabled_at is None and is_on(route.provider)
    return {
        "name": f"{route.provider.title} | {model.name}",
        "provider": route.provider.name,
        "provider_name": route.provider.title,
        "model": model.name,
        "status": "on" if is_usable else "off",
        "priority": route.priority,
        "context_length": model.context_tokens,
        "max_completion_tokens": model.max_output_tokens,
        "supported_parameters": model.supported_parameters,
        "pricing": model_list.pricing(model),
    }

"""
What `/v1/models/{id}/endpoints` says of the routes of a model: who serves it, whether that is switched on, and how
it has done lately.

No address, no account and no name that a provider uses for it; the price is the model's, whichever route serves.
"""

import time
from collections.abc import Mapping
from typing import Any

from gateway import model_list
from gateway.models import Route
from gateway.routes import route_stats
from gateway.routes.route_stats import Figures
from gateway.snapshot import ModelSnapshot, is_on, route_key


def endpoints(model: ModelSnapshot) -> dict[str, Any]:
    """
    Return the model's routes by priority; runs two queries and reads Redis, so it belongs in a thread.
    """
    rows = list(
        Route.objects.filter(model__name=model.name)
        .select_related("provider")
        .prefetch_related("provider__accounts")
        .order_by("priority", "pk")
    )
    stats = route_stats.read([key_of(row) for row in rows], now=time.time())
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
            "endpoints": [_endpoint(row, model, stats.get(key_of(row), {})) for row in rows],
        }
    }


def key_of(route: Route) -> str:
    """Return the name of a route in statistics."""
    return route_key(route.provider.name, route.upstream_model)


def _endpoint(route: Route, model: ModelSnapshot, figures: Mapping[str, Figures]) -> dict[str, Any]:
    is_usable = route.disabled_at is None and is_on(route.provider)
    return {
        "name": f"{route.provider.title} | {model.name}",
        "provider": route.provider.name,
        "provider_name": route.provider.title,
        "model": model.name,
        "status": "on" if is_usable else "off",
        "priority": route.priority,
        "weight": route.weight,
        "region": route.region or None,
        "zero_retention": route.provider.zero_retention,
        "no_training": route.provider.no_training,
        **route_stats.wire(figures),
        "context_length": model.context_tokens,
        "max_completion_tokens": model.max_output_tokens,
        "supported_parameters": model.supported_parameters,
        "pricing": model_list.pricing(model),
    }

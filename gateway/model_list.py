"""What `/v1/models` says of a model: OpenAI's fields, and ours beside them."""

import time
from typing import Any

import msgspec

from apikeys.snapshots import KeySnapshot
from billing import price_book
from billing.types import Price, Rates
from gateway.snapshot import Catalog, ModelSnapshot

PICO_DIGITS = 12
NANO_DIGITS = 9

# Decimal strings in USD per token or unit, under the names that OpenRouter made common.
TOKEN_PRICES = {
    "prompt": "input_microusd_per_mtok",
    "completion": "output_microusd_per_mtok",
    "input_cache_read": "cache_read_microusd_per_mtok",
    "input_cache_write": "cache_write_5m_microusd_per_mtok",
    "input_cache_write_1h": "cache_write_1h_microusd_per_mtok",
    "internal_reasoning": "reasoning_microusd_per_mtok",
    "audio": "audio_input_microusd_per_mtok",
    "audio_output": "audio_output_microusd_per_mtok",
    "image_token": "image_input_microusd_per_mtok",
    "image_output": "image_output_microusd_per_mtok",
}
UNIT_PRICES = {
    "image": "image_nanousd",
    "second": "second_nanousd",
    "character": "character_nanousd",
    "web_search": "search_nanousd",
    "request": "call_nanousd",
}


def listing(catalog: Catalog, key: KeySnapshot) -> bytes:
    """Return the JSON list of the models in the key's scope."""
    entries = [_encoded(model) for model in catalog.models.values() if is_listed(model, key)]
    return b'{"object":"list","data":[' + b",".join(entries) + b"]}"


def is_listed(model: ModelSnapshot, key: KeySnapshot) -> bool:
    """Whether the model is in the key's scope."""
    return key.allows_model(model.name) and key.allows_kind(model.kind)


def entry(model: ModelSnapshot) -> dict[str, Any]:
    """Return one model as a JSON object."""
    price = price_book.at(model.prices, time.time())
    return {
        "id": model.name,
        "object": "model",
        "created": model.created,
        "owned_by": model.owned_by,
        "shutdown_date": model.shutdown_on,
        "name": model.title,
        "description": model.description,
        "kind": model.kind,
        "context_length": model.context_tokens,
        "max_output_tokens": model.max_output_tokens,
        "architecture": {
            "input_modalities": model.input_modalities,
            "output_modalities": model.output_modalities,
        },
        "features": model.features,
        "supported_parameters": model.supported_parameters,
        "deprecation_date": model.deprecated_on,
        "pricing": _pricing(price) if price else None,
    }


def _pricing(price: Price) -> dict[str, Any]:
    pricing: dict[str, Any] = _prices(price.rates)
    if price.tiers:
        pricing["overrides"] = [
            {"min_prompt_tokens": tier.above_input_tokens, **_prices(tier.rates)}
            for tier in price.tiers
        ]
    return pricing


def _prices(rates: Rates) -> dict[str, str]:
    tokens = {
        name: _decimal(getattr(rates, rate), PICO_DIGITS) for name, rate in TOKEN_PRICES.items()
    }
    units = {
        name: _decimal(getattr(rates, rate), NANO_DIGITS) for name, rate in UNIT_PRICES.items()
    }
    return {name: text for name, text in (tokens | units).items() if text is not None}


def _decimal(amount: int | None, digits: int) -> str | None:
    """Return amount / 10**digits as an exact decimal without trailing zeros."""
    if amount is None:
        return None
    whole, rest = divmod(amount, 10**digits)
    return f"{whole}.{rest:0{digits}d}".rstrip("0").rstrip(".")


def _encoded(model: ModelSnapshot) -> bytes:
    return msgspec.json.encode(entry(model))

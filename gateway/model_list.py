"""What `/v1/models` says of a model: OpenAI's fields, and ours beside them."""

import time
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

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


def listed(
    catalog: Catalog, key: KeySnapshot, *, filters: Iterable[tuple[str, str]] = ()
) -> list[ModelSnapshot]:
    """Return the models in the key's scope that pass every filter (name and value, see FILTERS)."""
    wanted = [(FILTERS[name], value) for name, value in filters if name in FILTERS and value]
    return [
        model
        for model in catalog.models_for(key.organization_id)
        if is_listed(model, key) and all(passes(model, value) for passes, value in wanted)
    ]


def is_listed(model: ModelSnapshot, key: KeySnapshot) -> bool:
    """Whether the model is in the key's scope."""
    return key.allows_model(model.name) and key.allows_kind(model.kind)


def entry(model: ModelSnapshot) -> dict[str, Any]:
    """Return one model as a JSON object."""
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
        "pricing": pricing(model),
    }


def pricing(model: ModelSnapshot) -> dict[str, Any] | None:
    """Return the price of this moment as decimal strings in USD, None when none holds yet."""
    price = price_book.at(model.prices, time.time())
    if price is None:
        return None
    found = _pricing(price)
    if model.kind == "rerank" and "web_search" in found:  # the same fee, of another search
        found["search"] = found.pop("web_search")
    return found


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


def _has_all(found: Iterable[str], wanted: str) -> bool:
    return {part.strip() for part in wanted.split(",")} <= set(found)


def _has_word(model: ModelSnapshot, wanted: str) -> bool:
    text = f"{model.name} {model.title} {model.description}".casefold()
    return all(word in text for word in wanted.casefold().split())


def _has_context(model: ModelSnapshot, wanted: str) -> bool:
    least = _number(wanted)
    return least is not None and (model.context_tokens or 0) >= least


def _costs_at_most(model: ModelSnapshot, wanted: str) -> bool:
    most, price = _number(wanted), _input_price(model)
    return most is not None and price is not None and price <= most


def _costs_at_least(model: ModelSnapshot, wanted: str) -> bool:
    least, price = _number(wanted), _input_price(model)
    return least is not None and price is not None and price >= least


def _input_price(model: ModelSnapshot) -> Decimal | None:
    """Return USD per million input tokens, None for what is not priced by them."""
    price = price_book.at(model.prices, time.time())
    rate = price.rates.input_microusd_per_mtok if price else None
    return None if rate is None else Decimal(rate).scaleb(-6)


def _number(text: str) -> Decimal | None:
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


# The names are OpenRouter's, in the plural (lists with commas, all of which must hold) and in the singular. A value
# that nothing can match gives an empty list.
FILTERS: Mapping[str, Callable[[ModelSnapshot, str], bool]] = {
    "kind": lambda model, wanted: model.kind == wanted,
    "owned_by": lambda model, wanted: model.owned_by == wanted,
    "input_modality": lambda model, wanted: _has_all(model.input_modalities, wanted),
    "input_modalities": lambda model, wanted: _has_all(model.input_modalities, wanted),
    "output_modality": lambda model, wanted: _has_all(model.output_modalities, wanted),
    "output_modalities": lambda model, wanted: _has_all(model.output_modalities, wanted),
    "supported_parameters": lambda model, wanted: _has_all(model.supported_parameters, wanted),
    "features": lambda model, wanted: _has_all(model.features, wanted),
    "q": _has_word,
    "context": _has_context,
    "max_price": _costs_at_most,
    "min_price": _costs_at_least,
}

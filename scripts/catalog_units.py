"""
The price units of the three price sources, turned into ours.

All money leaves here as whole micro-USD per million tokens or nano-USD per unit, rounded up: a cost
may be booked too high, never too low.
"""

import sqlite3
from decimal import ROUND_CEILING, Decimal
from typing import Any

# USD per ... -> our unit: micro-USD per million tokens; nano-USD per piece, second, character.
MICRO_PER_MTOK = Decimal(10) ** 6
KCOUNT = Decimal(10) ** 9 / 1000
HOURS = Decimal(10) ** 9 / 3600
MCHARS = Decimal(10) ** 9 / 10**6
GENAI_UNITS: dict[str, tuple[str, Decimal]] = {
    "input_mtok": ("input_microusd_per_mtok", MICRO_PER_MTOK),
    "output_mtok": ("output_microusd_per_mtok", MICRO_PER_MTOK),
    "cache_read_mtok": ("cache_read_microusd_per_mtok", MICRO_PER_MTOK),
    "cache_write_mtok": ("cache_write_5m_microusd_per_mtok", MICRO_PER_MTOK),
    "cache_write_1h_mtok": ("cache_write_1h_microusd_per_mtok", MICRO_PER_MTOK),
    "output_reasoning_mtok": ("reasoning_microusd_per_mtok", MICRO_PER_MTOK),
    "input_audio_mtok": ("audio_input_microusd_per_mtok", MICRO_PER_MTOK),
    "output_audio_mtok": ("audio_output_microusd_per_mtok", MICRO_PER_MTOK),
    "input_image_mtok": ("image_input_microusd_per_mtok", MICRO_PER_MTOK),
    "output_image_mtok": ("image_output_microusd_per_mtok", MICRO_PER_MTOK),
    "web_searches_kcount": ("search_nanousd", KCOUNT),
    "requests_kcount": ("call_nanousd", KCOUNT),
    "input_audio_hours": ("second_nanousd", HOURS),
    "audio_hours": ("second_nanousd", HOURS),
    "input_mchars": ("character_nanousd", MCHARS),
}
# Classes we do not sell (file storage) or that share a dearer class of ours (cached media).
GENAI_IGNORED = {
    "storage_searches_kcount",
    "cache_audio_read_mtok",
    "cache_image_read_mtok",
    "input_video_mtok",
    "output_video_mtok",
}
LITELLM_UNITS: dict[str, tuple[str, int]] = {
    "input_cost_per_token": ("input_microusd_per_mtok", 12),
    "output_cost_per_token": ("output_microusd_per_mtok", 12),
    "cache_read_input_token_cost": ("cache_read_microusd_per_mtok", 12),
    "cache_creation_input_token_cost": ("cache_write_5m_microusd_per_mtok", 12),
    "input_cost_per_audio_token": ("audio_input_microusd_per_mtok", 12),
    "output_cost_per_audio_token": ("audio_output_microusd_per_mtok", 12),
    "input_cost_per_image_token": ("image_input_microusd_per_mtok", 12),
    "output_cost_per_image_token": ("image_output_microusd_per_mtok", 12),
    "input_cost_per_second": ("second_nanousd", 9),
    "input_cost_per_character": ("character_nanousd", 9),
    "input_cost_per_query": ("search_nanousd", 9),
    "input_cost_per_image": ("image_nanousd", 9),
    "output_cost_per_image": ("image_nanousd", 9),
}
MODELSDEV_PRICES = {
    "cost_input": "input_microusd_per_mtok",
    "cost_output": "output_microusd_per_mtok",
    "cost_reasoning": "reasoning_microusd_per_mtok",
    "cost_cache_read": "cache_read_microusd_per_mtok",
    "cost_cache_write": "cache_write_5m_microusd_per_mtok",
    "cost_input_audio": "audio_input_microusd_per_mtok",
    "cost_output_audio": "audio_output_microusd_per_mtok",
}
Rates = dict[str, Any]


def whole(value: Any, factor: Decimal) -> int:
    """Return `value` in our unit, rounded up."""
    return int((Decimal(str(value)) * factor).to_integral_value(rounding=ROUND_CEILING))


def entries(info: Any) -> list[tuple[Any, Any]]:
    """Return (condition or None, prices) of a genai-prices model, in its own order."""
    if isinstance(info.prices, list):
        return [(entry.constraint, entry.prices) for entry in info.prices]
    return [(None, info.prices)]


def genai_cost(prices: Any) -> Rates:
    """Return rates and tiers; SystemExit on a unit this script does not know."""
    rates: Rates = {}
    tiers: dict[int, Rates] = {}
    for unit, price in sorted(vars(prices).items()):
        if price is None or unit.startswith("_") or unit in GENAI_IGNORED:
            continue
        if unit not in GENAI_UNITS:
            raise SystemExit(f"genai-prices unit {unit} is not known: add it to GENAI_UNITS")
        name, factor = GENAI_UNITS[unit]
        for tier in getattr(price, "tiers", []):
            tiers.setdefault(tier.start, {})[name] = whole(tier.price, factor)
        if rate := whole(getattr(price, "base", price), factor):
            rates[name] = rate
    if tiers:
        rates["tiers"] = [{"above_input_tokens": start, **tiers[start]} for start in sorted(tiers)]
    return rates


def modelsdev_rates(row: sqlite3.Row) -> Rates:
    """Return the classes that one line of models.dev's price table sets."""
    given = ((name, row[column]) for column, name in MODELSDEV_PRICES.items())
    return {name: whole(price, MICRO_PER_MTOK) for name, price in given if price}


def dearest(costs: list[Rates]) -> Rates:
    """Return the highest rate of each class."""
    return {
        name: max(cost.get(name, 0) for cost in costs)
        for name in sorted({n for c in costs for n in c})
    }


def litellm_rates(row: dict[str, Any]) -> Rates:
    """Return the classes that one row of litellm's price map sets."""
    rates = {
        name: whole(row[column], Decimal(10) ** power)
        for column, (name, power) in LITELLM_UNITS.items()
        if row.get(column)
    }
    if "input_microusd_per_mtok" in rates:
        # Seconds beside tokens are litellm's estimate of the same audio, not a second fee.
        rates.pop("second_nanousd", None)
    return rates

"""What a customer reads of an invoice line: its token classes with quantity, rate and amount. Reads no database."""

from dataclasses import dataclass

from billing.invoices.invoice_sums import split
from billing.models import InvoiceLine
from billing.price_book import price_of
from billing.pricing import rates_of
from billing.types import Rates, TokenUsage
from exerati.drawing import formats

ADJUSTMENT = "adjustment"
# Token class, its rate, and the plain class whose rate it has where it has none of its own.
INPUT = ("cache_read", "cache_write_5m", "cache_write_1h", "audio_input", "image_input")
OUTPUT = ("reasoning", "audio_output", "image_output")
UNITS = {
    "image": "images",
    "second": "seconds",
    "character": "characters",
    "search": "searches",
    "call": "calls",
}
LABELS = {
    "input": "input",
    "output": "output",
    "cache_read": "cached input",
    "cache_write_5m": "cache writes (5 min)",
    "cache_write_1h": "cache writes (1 h)",
    "audio_input": "audio input",
    "image_input": "image input",
    "reasoning": "reasoning",
    "audio_output": "audio output",
    "image_output": "image output",
    "image": "images",
    "second": "seconds",
    "character": "characters",
    "search": "searches",
    "call": "calls",
    ADJUSTMENT: "adjustment",
}


@dataclass(frozen=True, slots=True)
class Part:
    """One token class of a line: how much of it, at what rate, and its exact share of the line's charge."""

    token_class: str
    quantity: int
    rate: int | None
    amount_nanousd: int


def parts(line: InvoiceLine) -> list[Part]:
    """
    Return the token classes of a line whose amounts add up to its charge.

    The charge itself was fixed call by call; here it is divided in the proportion of quantity x rate. Where calls were
    charged less than their usage (failed ones, clamped ones), each class bears its share of that.
    """
    if line.price_version is None:
        return [Part(ADJUSTMENT, 1, None, line.charge_nanousd)]
    rates = rates_of(_like_each_call(line), price=price_of(line.price_version))
    used = [(name, count, rate) for name, count, rate in _used(line, rates) if count]
    weights = [
        count * rate * (1000 if name in UNITS else 1) for name, count, rate in used
    ]  # both in pico-USD
    if not any(weights):
        used, weights = [("call", line.requests, 0)], [0]
    amounts = split(line.charge_nanousd, weights)
    return [
        Part(name, count, rate, amount)
        for (name, count, rate), amount in zip(used, amounts, strict=True)
        if amount or rate
    ]


def _like_each_call(line: InvoiceLine) -> TokenUsage:
    """Return what decides on the rates of a call, as all calls of a line have it in common."""
    return TokenUsage(
        input_tokens=line.above_input_tokens + 1,
        seconds=line.details.get("seconds", 0),
        service_tier=line.service_tier,
    )


def _used(line: InvoiceLine, rates: Rates) -> list[tuple[str, int, int]]:
    counts = {
        "cache_read": line.cache_read_tokens,
        "reasoning": line.reasoning_tokens,
        **{
            name: line.details.get(f"{name}_tokens", 0)
            for name in (*INPUT, *OUTPUT)
            if name not in {"cache_read", "reasoning"}
        },
    }
    found = _tokens("input", line.input_tokens, INPUT, counts, rates)
    found += _tokens("output", line.output_tokens, OUTPUT, counts, rates)
    units = {**line.details, "calls": line.requests}
    for name, unit in UNITS.items():
        if rate := getattr(rates, f"{name}_nanousd"):
            found.append((name, units.get(unit, 0), rate))
    return found


def _tokens(
    plain: str, total: int, classes: tuple[str, ...], counts: dict[str, int], rates: Rates
) -> list[tuple[str, int, int]]:
    """Return the classes that have a rate of their own, and what remains of the total at the plain rate."""
    found, left = [], total
    for name in classes:
        rate = getattr(rates, f"{name}_microusd_per_mtok")
        if rate is not None and counts[name]:
            taken = min(counts[name], left)
            found.append((name, taken, rate))
            left -= taken
    return [(plain, left, getattr(rates, f"{plain}_microusd_per_mtok") or 0), *found]


def description(line: InvoiceLine, part: Part) -> str:
    """Return a part in words, as the invoice at Stripe has it too."""
    if part.token_class == ADJUSTMENT:
        return line.model
    words = [f"{line.model}, {LABELS[part.token_class]}", *rate_words(line)]
    unit = "" if part.token_class in UNITS else " tokens"
    words.append(f"{part.quantity:,}{unit}{_rate_text(part)}")
    if line.is_late and line.first_at and line.last_at:
        words.append(f"used {_dates(line)}")
    return " · ".join(words)[:250]


def rate_words(line: InvoiceLine) -> list[str]:
    """Return in words what sets a line's rates apart from the ordinary ones of its model."""
    words = []
    if line.service_tier:
        words.append(f"service tier {line.service_tier}")
    if line.above_input_tokens:
        words.append(f"prompts above {line.above_input_tokens:,} tokens")
    return words


def _rate_text(part: Part) -> str:
    if not part.rate:
        return ""
    if part.token_class in UNITS:
        return f" at {formats.exact_text(part.rate)} each"
    return f" at {formats.price_text(part.rate)} per million"


def _dates(line: InvoiceLine) -> str:
    first, last = f"{line.first_at:%-d %b %Y}", f"{line.last_at:%-d %b %Y}"
    return first if first == last else f"{first} to {last}"

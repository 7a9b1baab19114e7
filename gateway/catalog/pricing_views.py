"""The public page on how prices and credit work, with a calculator that needs no script."""

from dataclasses import dataclass

from django.conf import settings
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe
from django.views.decorators.vary import vary_on_cookie

from billing.types import TokenUsage
from exerati.lib import money
from gateway.catalog import catalog_pages
from gateway.catalog.catalog_pages import CatalogRow, Estimate

DEFAULT_MODEL = "gpt-4o-mini"
MOST = {"calls": 10_000_000_000, "input": 10_000_000, "output": 1_000_000, "cached": 100}
DEFAULTS = {"calls": 100_000, "input": 1_500, "cached": 0, "output": 300}
LABELS = {
    "calls": "Calls a month",
    "input": "Input tokens of a call",
    "cached": "Of these cached, in percent",
    "output": "Output tokens of a call",
}
OTHERS = 4  # models shown beside the chosen one
DIGITS = 12  # more are too many for any of the numbers
CENTS = money.NANOUSD_PER_USD // 100


@dataclass(frozen=True, slots=True)
class Workload:
    """What the calculator is asked: calls a month, tokens of each, and the share in percent that is cached."""

    calls: int
    input: int
    output: int
    cached: int

    @property
    def usage(self) -> TokenUsage:
        """Return the tokens of one call."""
        cached = self.input * self.cached // 100
        return TokenUsage(
            input_tokens=self.input, cache_read_tokens=cached, output_tokens=self.output
        )


@dataclass(frozen=True, slots=True)
class Field:
    """One number of the calculator: as it was typed, what it comes to, and what is wrong with it, "" for nothing."""

    name: str
    text: str
    value: int
    error: str = ""

    @property
    def label(self) -> str:
        """Return what the number is."""
        return LABELS[self.name]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a workload costs with one model."""

    row: CatalogRow
    call: Estimate
    month_nanousd: int


@require_safe
@vary_on_cookie
def page(request: HttpRequest) -> HttpResponse:
    """Show how credit works, what is charged, and what a month would cost."""
    rows = [row for row in catalog_pages.for_sale(now=timezone.now()) if _is_offered(row)]
    fields = [_field(request.GET, name) for name in DEFAULTS]
    workload = _workload(fields)
    wanted = request.GET.get("model", DEFAULT_MODEL)
    chosen = next((row for row in rows if row.name == wanted), rows[0] if rows else None)
    context = {
        "models": [
            (row.name, row.title) for row in sorted(rows, key=lambda row: row.title.lower())
        ],
        "chosen": chosen,
        "unknown_model": wanted
        if chosen and chosen.name != wanted and "model" in request.GET
        else "",
        "fields": fields,
        "workload": workload,
        "answer": _answer(chosen, workload) if chosen and workload else None,
        "others": _others(rows, chosen, workload) if chosen and workload else [],
        "markup": settings.MARKUP_PERCENT,
        "trial": money.display(settings.TRIAL_CREDIT_NANOUSD),
        "trial_days": settings.TRIAL_CREDIT_DAYS,
        "least_topup": money.display(settings.TOPUP_LEAST_CENTS * CENTS),
        "most_topup": money.display(settings.TOPUP_MOST_CENTS * CENTS),
        "tax": settings.STRIPE_TAX,
        "nav_active": "pricing",
    }
    return render(request, "gateway/pricing.html", context)


def _is_offered(row: CatalogRow) -> bool:
    """Say whether the calculator knows the model: a chat model with prices by the token that is still served."""
    by_token = row.rates.input_microusd_per_mtok and row.rates.output_microusd_per_mtok
    return row.kind == "chat" and bool(by_token) and row.shutdown_on is None


def _answer(row: CatalogRow, workload: Workload) -> Answer | None:
    call = catalog_pages.estimate(row.price, usage=workload.usage)
    return None if call is None else Answer(row, call, call.nanousd * workload.calls)


def _others(rows: list[CatalogRow], chosen: CatalogRow, workload: Workload) -> list[Answer]:
    """Return what the newest model of each of some other makers costs, cheapest first."""
    newest = catalog_pages.newest_of_each(rows)
    found = (_answer(row, workload) for row in newest if row.owned_by != chosen.owned_by)
    answers = [answer for answer in found if answer is not None][:OTHERS]
    return sorted(answers, key=lambda answer: answer.month_nanousd)


def _field(query: QueryDict, name: str) -> Field:
    """Return a number as people write it (1,000), or the default where nothing was asked."""
    text = query.get(name, f"{DEFAULTS[name]}").strip()
    digits = text.replace(",", "").replace(" ", "")
    if not digits.isascii() or not digits.isdigit():
        return Field(name, text, 0, "Write a whole number, such as 1,500.")
    value = int(digits) if len(digits) <= DIGITS else MOST[name] + 1
    if value > MOST[name]:
        return Field(name, text, 0, f"At most {MOST[name]:,}.")
    return Field(name, text, value)


def _workload(fields: list[Field]) -> Workload | None:
    """Return what is asked, None while a number is wrong."""
    if any(field.error for field in fields):
        return None
    return Workload(**{field.name: field.value for field in fields})

"""Read models of the management API: rows of one organization as plain values, page by page."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from django.db.models import Q
from django.utils import timezone

from accounts.models import Organization
from apikeys.models import BUDGET_PERIODS, ApiKey
from billing.models import BillingAccount, LedgerTransfer, UsageEvent
from billing.read_models import budget_report, log_scan, reports, request_log
from billing.read_models.log_scan import Cursor
from billing.read_models.periods import Period
from billing.read_models.reports import NO_KEY, Filters, Group, Sums
from billing.read_models.request_log import LogFilters
from exerati.lib import money

Row = dict[str, Any]


class UnknownPage(Exception):
    """The text names no place of this list."""


def usage_buckets(
    organization: Organization, *, period: Period, group: Group | None, filters: Filters
) -> Iterator[Row]:
    """Yield each bucket of the range with its groups, those without calls left out."""
    found = reports.usage(organization, period=period, group=group or "mode", filters=filters)
    for i, slot in enumerate(period.slots):
        sums = [(row.id, row.name, row.buckets[i]) for row in found.rows]
        if group is None:
            sums = [("", NO_KEY, sum((one for _, _, one in sums), Sums()))]
        yield {
            "start": slot.start.astimezone(period.zone),
            "end": slot.end.astimezone(period.zone),
            "results": [
                _result(ident, name, one, grouped=group is not None)
                for ident, name, one in sums
                if one.requests
            ],
        }


def _result(ident: str, name: str, sums: Sums, *, grouped: bool) -> Row:
    return {
        "group": ident or None,
        "name": name if grouped and name != NO_KEY else None,
        "requests": sums.requests,
        "errors": sums.errors,
        "input_tokens": sums.input_tokens,
        "output_tokens": sums.output_tokens,
        "cache_read_tokens": sums.cache_read_tokens,
        "reasoning_tokens": sums.reasoning_tokens,
        "audio_tokens": sums.audio_tokens,
        "image_tokens": sums.image_tokens,
        "charge_nanousd": sums.charge_nanousd,
        "charge_usd": money.usd_text(sums.charge_nanousd),
        "price_nanousd": sums.price_nanousd,
    }


def requests(
    organization: Organization, *, filters: LogFilters, page: str
) -> tuple[list[Row], str | None]:
    """Return a page of admitted calls, newest first, and the name of the next one."""
    cursor: Cursor | None = None
    if page:
        cursor = log_scan.parse_cursor(page, direction="older")
        if cursor is None:
            raise UnknownPage
    found = request_log.look(organization, filters=filters, cursor=cursor)
    kept = found.rows[: request_log.PAGE_ROWS]
    place = found.edge.text if found.edge else None
    if len(found.rows) > len(kept):
        place = log_scan.cursor_text(kept[-1].occurred_at, kept[-1].request_id)
    return [_request(event) for event in kept], place


def _request(event: UsageEvent) -> Row:
    return {
        "id": request_log.public_id(event.request_id),
        "created_at": event.occurred_at,
        "model": event.model,
        "endpoint": event.endpoint,
        "key": event.key.public_id if event.key and not event.key.is_seat else None,
        "project": event.project.public_id,
        "mode": event.mode,
        "status": event.status,
        "outcome": event.outcome,
        "basis": event.basis,
        "error_code": event.error_code or None,
        "streamed": event.streamed,
        "service_tier": event.service_tier or None,
        **request_log.token_counts(event),
        "price_nanousd": event.price_nanousd,
        "charge_nanousd": event.charge_nanousd,
        "charge_usd": money.usd_text(event.charge_nanousd),
        "first_token_ms": event.first_token_ms,
        "duration_ms": event.duration_ms,
        "tags": event.tags or [],
    }


def balance(organization: Organization, *, now: datetime) -> Row:
    """Return the wallet and the caps."""
    wallet = budget_report.wallet(organization)
    account = BillingAccount.objects.filter(organization=organization).first()
    return {
        "organization": organization.public_id,
        "plan": account.plan if account else BillingAccount.Plan.PREPAID.value,
        "balance_nanousd": wallet.balance_nanousd,
        "balance_usd": money.usd_text(wallet.balance_nanousd),
        "held_nanousd": wallet.held_nanousd,
        "available_nanousd": wallet.available_nanousd,
        "budgets": [
            {
                "scope": line.scope,
                "name": line.name,
                "id": line.public_id or None,
                "period": line.period,
                "cap_nanousd": line.cap_nanousd,
                "spent_nanousd": line.posted_nanousd,
                "held_nanousd": line.held_nanousd,
                "ends_at": line.ends_at,
            }
            for line in budget_report.budgets(organization, now=now)
        ],
    }


def ledger(organization: Organization, *, page: str, limit: int) -> tuple[list[Row], str | None]:
    """Return postings, newest first, and the name of the next page; the row ids stay with us."""
    rows = LedgerTransfer.objects.filter(organization=organization)
    if page:
        key, _, leg = page.rpartition("/")
        place = rows.filter(idempotency_key=key, leg=int(leg) if leg.isdecimal() else -1).first()
        if place is None:
            raise UnknownPage
        rows = rows.filter(pk__lt=place.pk)
    found = list(
        rows.select_related("debit_account", "credit_account").order_by("-pk")[: limit + 1]
    )
    kept = found[:limit]
    return [_transfer(row) for row in kept], (_name(kept[-1]) if len(found) > limit else None)


def _name(row: LedgerTransfer) -> str:
    return f"{row.idempotency_key}/{row.leg}"


def _transfer(row: LedgerTransfer) -> Row:
    return {
        "id": _name(row),
        "created_at": row.created_at,
        "kind": row.kind,
        "debit": row.debit_account.kind,
        "credit": row.credit_account.kind,
        "amount_nanousd": row.amount_nanousd,
        "amount_usd": money.usd_text(row.amount_nanousd),
    }


def keys(organization: Organization, *, page: str, limit: int) -> tuple[list[Row], str | None]:
    """Return keys, newest first, and the name of the next page; never a secret or its hash."""
    rows = organization.api_keys.select_related("project", "created_by")
    if page:
        place = organization.api_keys.filter(public_id=page).first()
        if place is None:
            raise UnknownPage
        older = Q(created_at__lt=place.created_at)
        rows = rows.filter(older | Q(created_at=place.created_at, pk__lt=place.pk))
    found = list(rows.order_by("-created_at", "-pk")[: limit + 1])
    kept = found[:limit]
    now = timezone.now()
    return [_key(row, now) for row in kept], (kept[-1].public_id if len(found) > limit else None)


def _key(key: ApiKey, now: datetime) -> Row:
    budgets: Mapping[str, int | None] = {
        period: getattr(key, f"budget_{period}_nanousd") for period in BUDGET_PERIODS
    }
    return {
        "id": key.public_id,
        "name": key.name,
        "shown": key.shown,
        "mode": key.mode,
        "status": key.status_at(now).value,
        "project": key.project.public_id,
        "owner": key.created_by.email if key.created_by else None,
        "created_at": key.created_at,
        "last_used_at": key.last_used_at,
        "expires_at": key.expires_at,
        "endpoints": key.endpoints,
        "model_patterns": key.model_patterns,
        "budgets_nanousd": {name: cap for name, cap in budgets.items() if cap is not None},
    }

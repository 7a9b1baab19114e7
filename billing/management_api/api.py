"""DRF endpoints of the management API: an organization's usage, requests, balance, ledger and keys, to read."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, cast
from zoneinfo import ZoneInfo

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import Organization
from billing.console import page_query
from billing.management_api import api_reads, api_rows
from billing.management_api.api_base import ManagementView, checked, organization_of
from billing.management_api.api_reads import UnknownPage
from billing.management_api.api_schema import ERRORS
from billing.read_models import periods
from billing.read_models.periods import Step
from billing.read_models.reports import Filters
from billing.read_models.request_log import LogFilters

NO_SUCH_PAGE = "This is no page of this list: take `next_page` of the page before."
DEFAULT_DAYS = 30


class Usage(ManagementView):
    """Sums by bucket of time and by group."""

    @extend_schema(
        operation_id="usage",
        parameters=[api_rows.UsageQuery],
        responses={200: api_rows.UsagePage, **ERRORS},
    )
    def get(self, request: Request) -> Response:
        """Sum up requests, tokens and charges by minute, hour or day, and by model, key, project, member or tag."""
        organization, query = organization_of(request), checked(request, api_rows.UsageQuery)
        start, end = _range(query)
        step = cast(Step, api_rows.BUCKETS[query["bucket_width"]])
        zone = _zone(query.get("time_zone") or organization.time_zone)
        place = max(start, query.get("page") or start)
        period = periods.buckets(place, end, zone=zone, step=step, limit=query["limit"])
        found = (
            api_reads.usage_buckets(
                organization,
                period=period,
                group=query.get("group_by"),
                filters=_filters(organization, query),
            )
            if period.slots
            else ()
        )
        more = bool(period.slots) and period.end < end
        return Response(
            {
                "time_zone": str(zone),
                "data": list(found),
                "has_more": more,
                "next_page": period.end if more else None,
            }
        )


class UsageRequests(ManagementView):
    """Single calls."""

    @extend_schema(
        operation_id="usage_requests",
        parameters=[api_rows.RequestsQuery],
        responses={200: api_rows.RequestPage, **ERRORS},
    )
    def get(self, request: Request) -> Response:
        """List the calls that were admitted, newest first, 50 a page."""
        query = checked(request, api_rows.RequestsQuery)
        filters = LogFilters(
            since=query.get("start"),
            until=query.get("end"),
            **{
                name: query.get(name, "")
                for name in ("model", "key", "project", "member", "tag", "mode", "status")
            },
        )
        try:
            rows, following = api_reads.requests(
                organization_of(request), filters=filters, page=query.get("page", "")
            )
        except UnknownPage:
            raise ValidationError({"page": NO_SUCH_PAGE}) from None
        return _page(rows, following)


class BalanceNow(ManagementView):
    """The wallet and the caps."""

    @extend_schema(
        operation_id="balance",
        parameters=[api_rows.OrganizationQuery],
        responses={200: api_rows.Balance, **ERRORS},
    )
    def get(self, request: Request) -> Response:
        """Say what the organization has, what running calls hold of it, and how full each budget is."""
        checked(request, api_rows.OrganizationQuery)
        return Response(api_reads.balance(organization_of(request), now=timezone.now()))


class Ledger(ManagementView):
    """Postings of the double-entry ledger."""

    @extend_schema(
        operation_id="ledger",
        parameters=[api_rows.PageQuery],
        responses={200: api_rows.LedgerPage, **ERRORS},
    )
    def get(self, request: Request) -> Response:
        """List the organization's postings, newest first."""
        return _listed(request, api_reads.ledger)


class Keys(ManagementView):
    """API keys, without their secrets."""

    @extend_schema(
        operation_id="keys",
        parameters=[api_rows.PageQuery],
        responses={200: api_rows.KeyPage, **ERRORS},
    )
    def get(self, request: Request) -> Response:
        """List the organization's API keys, newest first; a secret is shown once, when it is made, and never here."""
        return _listed(request, api_reads.keys)


def _listed(request: Request, read: Any) -> Response:
    query = checked(request, api_rows.PageQuery)
    try:
        rows, following = read(
            organization_of(request), page=query.get("page", ""), limit=query["limit"]
        )
    except UnknownPage:
        raise ValidationError({"page": NO_SUCH_PAGE}) from None
    return _page(rows, following)


def _page(rows: list[api_reads.Row], following: str | None) -> Response:
    return Response({"data": rows, "has_more": following is not None, "next_page": following})


def _range(query: Mapping[str, Any]) -> tuple[datetime, datetime]:
    """Return the range asked for: the last 30 days unless told; raises ValidationError."""
    end = min(query.get("end") or timezone.now(), timezone.now() + periods.DAY)
    start = query.get("start") or end - DEFAULT_DAYS * periods.DAY
    for name, moment in (("start", start), ("end", end)):
        if moment.year not in page_query.YEARS:
            raise ValidationError({name: "This is no moment of our time."})
    if start >= end:
        raise ValidationError({"start": "`start` must lie before `end`, and not ahead of now."})
    return start, end


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # names are paths below the zones
        raise ValidationError({"time_zone": f"There is no time zone {name}."}) from None


def _filters(organization: Organization, query: Mapping[str, Any]) -> Filters:
    """Return the filters; a key, project or member of nobody here matches nothing."""
    return page_query.scope(organization).chosen(
        {name: query.get(name, "") for name in page_query.FILTERS}
    )

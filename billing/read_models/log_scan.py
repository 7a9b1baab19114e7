"""
How the log of requests is walked: places in it, and the rows next to one, however many millions there are.

A filter without an index of its own could make the database read all of an organization's requests to find none. So a
page looks at no more than LOOKED_AT of them, says how far that was, and the next one goes on from there. The hourly
sums tell whether a model, key, project, member, tag or mode was used at all before that, so that the next page begins
where it was.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, Literal, TypeVar
from uuid import UUID

from django.db.models import Model, Q, QuerySet

from accounts.models import Organization
from billing.models import OutboxMessage, TagRollup, UsageRollup
from exerati.lib import ids

LOOKED_AT = 10_000  # rows read at most for one page
HOUR = timedelta(hours=1)
EPOCH = datetime.fromtimestamp(0, UTC)
LAST_ID = UUID(int=2**128 - 1)
Direction = Literal["older", "newer"]
Row = TypeVar("Row", bound=Model)
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in the log: just below (older) or above (newer) one row."""

    direction: Direction
    occurred_at: datetime
    request_id: UUID

    @property
    def text(self) -> str:
        """Return the place for an address."""
        return cursor_text(self.occurred_at, self.request_id)


@dataclass(frozen=True, slots=True)
class Found(Generic[Item]):
    """Rows next to a place, nearest first; `edge` is the last row looked at, None where nothing lies beyond."""

    rows: list[Item]
    edge: Cursor | None = None


def cursor_text(occurred_at: datetime, request_id: UUID) -> str:
    """Return a cursor for an address: microseconds since 1970 and the id."""
    return f"{(occurred_at - EPOCH) // timedelta(microseconds=1)}-{ids.encode(request_id)}"


def parse_cursor(text: str, *, direction: Direction) -> Cursor | None:
    """Return the place a text names, None for anything else."""
    micros, _, ident = text.partition("-")
    try:
        return Cursor(direction, EPOCH + timedelta(microseconds=int(micros)), ids.decode(ident))
    except (ValueError, OverflowError):
        return None


def next_to(
    cursor: Cursor | None,
    rows: QuerySet[Row],
    *,
    narrowed: Q | None = None,
    implied: Q | None = None,
    at_most: int,
) -> Found[Row]:
    """
    Return the rows beyond a place; they have `occurred_at` and `request_id`, and `rows` needs an index by those.

    One query; a second one where `narrowed`, for which there is no index, has to be looked for. `implied` follows from
    `narrowed` and has an index of its own: it is not asked for twice, or the planner would take it for twice as rare.
    """
    direction: Direction = cursor.direction if cursor else "older"
    order = ("occurred_at", "request_id")
    if direction == "older":
        order = ("-occurred_at", "-request_id")
    near = (rows.filter(_beyond(cursor)) if cursor else rows).order_by(*order)
    if narrowed is None:
        return Found(list(near[:at_most]))
    looked_at = near if implied is None else near.filter(implied)
    last = looked_at.values_list("occurred_at", "request_id")[LOOKED_AT - 1 : LOOKED_AT]
    edge = next((Cursor(direction, *place) for place in last), None)
    if edge is not None:
        near = near.filter(_up_to(edge))
    found = list(near.filter(narrowed)[:at_most])
    return Found(found, edge if len(found) < at_most else None)


def _beyond(cursor: Cursor) -> Q:
    """Return the rows past a place; the first condition alone bounds the index scan."""
    if cursor.direction == "older":
        edge = Q(occurred_at__lte=cursor.occurred_at)
        return edge & (Q(occurred_at__lt=cursor.occurred_at) | Q(request_id__lt=cursor.request_id))
    edge = Q(occurred_at__gte=cursor.occurred_at)
    return edge & (Q(occurred_at__gt=cursor.occurred_at) | Q(request_id__gt=cursor.request_id))


def _up_to(edge: Cursor) -> Q:
    """Return the rows on the near side of a place, its own included."""
    at, ident = edge.occurred_at, edge.request_id
    if edge.direction == "older":
        return Q(occurred_at__gte=at) & (Q(occurred_at__gt=at) | Q(request_id__gte=ident))
    return Q(occurred_at__lte=at) & (Q(occurred_at__lt=at) | Q(request_id__lte=ident))


def skip(
    organization: Organization, edge: Cursor, *, used: Mapping[str, Any], tag: str = ""
) -> Cursor | None:
    """
    Return where to look on from an edge to the older side: in the newest hour in which the sums have what is wanted.

    `used` are conditions on the sums; without any, and without a tag, it is the edge itself. None where there is
    nothing older. Two queries.
    """
    if not (used or tag):
        return edge
    waiting = OutboxMessage.objects.filter(
        organization=organization, occurred_at__lte=edge.occurred_at
    )
    if waiting.exists():  # not all is in the sums yet
        return edge
    sums: QuerySet[Any] = TagRollup.objects.filter(tag=tag) if tag else UsageRollup.objects.all()
    hours = sums.filter(organization=organization, hour__lte=edge.occurred_at, **used)
    hour = hours.order_by("-hour").values_list("hour", flat=True).first()
    if hour is None:
        return None
    end = hour + HOUR
    return edge if end > edge.occurred_at else Cursor("older", end, LAST_ID)

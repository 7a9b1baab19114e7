"""What should come of a history: the reference model with periods that end, bounds that grow, wallets that close."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

from tests.billing.reference import Call, Reference

Scope = tuple[str, int, str]  # as in a counter: scope, its id, model
Kind = Literal[
    "reserve", "settle", "foreign", "extend", "renew", "sweep",
    "cap", "raise", "turn", "account", "rejoin",
]  # fmt: skip


class Violation(AssertionError):
    """The database did what it must not: `rule` says which promise is broken, `seed` replays it."""

    def __init__(self, rule: str, *, seed: int, found: object, wanted: object) -> None:
        super().__init__(f"seed {seed}: {rule}: found {found}, wanted {wanted}")
        self.rule = rule


@dataclass(frozen=True, slots=True)
class Wish:
    """What a world wants done next."""

    kind: Kind
    rows: list[Any]


@dataclass(slots=True)
class Turning(Reference):
    """
    The reference model, in which periods end: a call weighs on the caps of the period that admitted it.

    `caps` are the set ones with their raises; `is_blocked` closes wallets to new calls, whatever is in them.
    """

    ended: dict[tuple[str, str], list[set[int]]] = field(default_factory=dict)
    extensions: dict[int, int] = field(default_factory=dict)
    set_caps: dict[tuple[str, str], int] = field(default_factory=dict)
    raises: dict[tuple[str, str], int] = field(default_factory=dict)
    is_blocked: bool = False

    def room(self, scopes: tuple[str, ...]) -> int:
        """Return the largest bound that would be admitted."""
        return min(self.rooms(scopes).values(), default=2**62)

    def rooms(self, scopes: tuple[str, ...]) -> dict[tuple[str, str], int]:
        """Return what each cap in these scopes has left for new calls."""
        return {
            capped: (-1 if self.is_blocked and capped[0].startswith("wallet") else cap)
            - sum(call.weight for call in self.counted(*capped))
            for capped, cap in self.caps.items()
            if capped[0] in scopes
        }

    def tightest(self, scopes: tuple[str, ...]) -> set[tuple[str, str]]:
        """Return the kinds of scope, each with its period, of which one is named by a refusal."""
        rooms = self.rooms(scopes)
        return {
            ("past_due" if self.is_blocked and kind == "wallet" else kind, period)
            for (name, period), room in rooms.items()
            if room == min(rooms.values()) and (kind := name.partition(" ")[0])
        }

    def set_cap(self, scope: str, period: str, cap: int | None) -> None:
        """Set a cap, or take it away."""
        self.set_caps.pop((scope, period), None)
        if cap is not None:
            self.set_caps[scope, period] = cap
        self._add_up(scope, period)

    def raise_cap(self, scope: str, period: str, extra: int | None) -> None:
        """Raise a cap, or end all of its raises."""
        raised = self.raises.pop((scope, period), 0)
        if extra is not None:
            self.raises[scope, period] = raised + extra
        self._add_up(scope, period)

    def _add_up(self, scope: str, period: str) -> None:
        self.caps.pop((scope, period), None)
        if (scope, period) in self.set_caps:
            raised = self.raises.get((scope, period), 0)
            self.caps[scope, period] = self.set_caps[scope, period] + raised

    def rename(self, before: str, after: str) -> None:
        """Let the calls of a scope count for another, which has no caps yet."""
        for capped in [capped for capped in self.caps if capped[0] == before]:
            self.set_cap(*capped, None)
        for call in self.calls.values():
            call.scopes = tuple(after if one == before else one for one in call.scopes)
            call.held_on = tuple(after if one == before else one for one in call.held_on)

    def counted(self, scope: str, period: str, *, beside: int | None = None) -> list[Call]:
        """Return the calls of the present period, or the others of the period that admitted call `beside`."""
        ended = self.ended.get((scope, period), [])
        among = next((numbers for numbers in ended if beside in numbers), None)
        past = set().union(*ended)
        return [
            call
            for number, call in self.calls.items()
            if scope in call.scopes
            and number != beside
            and (number in among if among is not None else number not in past)
        ]

    def turn(self, scope: str, period: str) -> None:
        """Let the period of a counter end."""
        ended = self.ended.setdefault((scope, period), [])
        ended.append(set(self.calls).difference(*ended))

    def rooms_beside(self, number: int, scopes: tuple[str, ...]) -> dict[tuple[str, str], int]:
        """Return what the other calls leave on each cap in these scopes, in the periods of a call."""
        return {
            capped: cap - sum(call.weight for call in self.counted(*capped, beside=number))
            for capped, cap in self.caps.items()
            if capped[0] in scopes
        }

    def settle(
        self, number: int, charge: int, *, unserved: tuple[str, ...] = ()
    ) -> tuple[bool, int | None]:
        """End the call or true it up; see Reference."""
        call = self.calls.get(number)
        if call is not None and call.swept and call.charge is not None:
            served = tuple(scope for scope in call.held_on if scope not in unserved)
            rooms = [
                max(room, call.charge if scope in call.scopes else 0)
                for (scope, _), room in self.rooms_beside(number, served).items()
            ]
            call.charge = min(max(charge, 0), call.upper, *rooms)
            call.scopes, call.swept = served, False
        # Without the name of its base: a dataclass with slots is made twice.
        return Reference.settle(self, number, charge, unserved=unserved)

    def extend(self, number: int, step: int, more: int) -> tuple[str, int | None]:
        """Raise the bound of an open call; return the verdict and the bound that holds."""
        call = self.calls.get(number)
        if call is None or call.charge is not None:
            return "lost", None
        if step > self.extensions.get(number, 0):
            rooms = self.rooms_beside(number, call.scopes).values()
            if any(room - call.upper < more for room in rooms):
                return "over", call.upper
            call.upper += more if call.scopes else 0
            self.extensions[number] = step
        return "ok", call.upper


def period_end(
    period: str, *, now: datetime, zone: ZoneInfo, week_start: int, month_day: int
) -> datetime | None:
    """Return the end of the period that holds `now`: a second opinion on billing/sql/periods.sql."""
    today = now.astimezone(zone).date()
    if period == "total":
        return None
    if period == "day":
        end = today + timedelta(days=1)
    elif period == "week":
        end = today + timedelta(days=7 - (today.isoweekday() - week_start) % 7)
    else:
        months = today.year * 12 + today.month - (today.day < month_day)
        end = date(months // 12, months % 12 + 1, month_day)
    return datetime.combine(end, time(), zone).astimezone(UTC)


def name_of(scope: Scope) -> str:
    """Return a scope's name in the model."""
    return " ".join(str(part) for part in scope if part)

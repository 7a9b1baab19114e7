"""
One organization with everything that can bind a call, a random history of it, and what should come of it.

A world is made from a seed alone: the same seed is the same history. It says what it wants done (`story`), is told
what the database answered, and compares that with the reference model.
"""

import random
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

from billing.types import ReserveRequest
from exerati.lib import ids
from tests.billing.calls import settlement
from tests.billing.simulator.model import Scope, Turning, Violation, Wish, name_of, period_end

MODELS = ("a", "b", "c")
PERIODS = ("day", "week", "month", "total")
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe")
CAPS = (None, 0, 500, 2_000, 4_000, 6_000, 8_000, 12_000)
CALLS = (
    40  # calls are numbered: few numbers make repeats, late settlements and unknown calls common
)


@dataclass(frozen=True, slots=True)
class Key:
    """A key's row ids, and which of the members made it; test keys reach no counter."""

    id: int
    project_id: int
    maker: int
    mode: Literal["live", "test"]


@dataclass(slots=True)
class World:
    """See the module; `keys` are three live ones in two projects and a test key, of two members."""

    seed: int
    organization_id: int
    keys: tuple[Key, ...]
    members: list[int]
    price_version_id: int
    credit: int
    zone: str
    week_start: int
    month_day: int
    dice: random.Random
    model: Turning = field(default_factory=Turning)
    request_ids: dict[int, UUID] = field(default_factory=dict)
    capped: dict[tuple[str, str], tuple[Scope, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.model.set_cap(*self.wallet, self.credit)

    # --- the story

    def story(self, steps: int) -> Generator[Wish, Any, None]:
        """Yield so many wishes and check the answer to each."""
        acts: tuple[Callable[[], Generator[Wish, Any, None]], ...]
        acts = (self.reserve,) * 5 + (self.settle,) * 3 + (self.renew,) * 2 + (self.cap,) * 3
        acts += (self.raise_cap, self.account, self.rejoin)
        acts += (self.sweep, self.turn, self.foreign) + (self.extend,) * self.eager
        for _ in range(4):
            yield from self.cap()
        for _ in range(steps):
            yield from self.dice.choice(acts)()

    def reserve(self) -> Generator[Wish, Any, None]:
        """Admit one to five calls at once, some of them again."""
        wanted = {n: self.some_bound(n) for n in self.some_calls(5)}
        verdicts = yield Wish("reserve", [self.request(n, upper) for n, upper in wanted.items()])
        for (number, upper), verdict in zip(wanted.items(), verdicts, strict=True):
            self.check_verdict(number, upper, verdict)

    def check_verdict(self, number: int, upper: int, verdict: dict[str, Any]) -> None:
        """Compare one verdict with the model's; a refusal must also say whose it is, what is left, and until when."""
        live = self.key_of(number).mode == "live"
        scopes, fallbacks = self.scopes(number), self.fallback_scopes(number)
        room, tightest = (
            self.model.room(scopes + fallbacks),
            self.model.tightest(scopes + fallbacks),
        )
        wanted = self.model.reserve(number, scopes, upper if live else 0, fallbacks=fallbacks)
        self.expect("verdict", verdict["verdict"], wanted)
        if wanted == "over":
            self.expect("room", verdict["cap"] - verdict["posted"] - verdict["held"], room)
            told = verdict["frees_at"] and datetime.fromisoformat(verdict["frees_at"])
            self.expect("period", told, self.period_end(verdict["period"]))
            named = (verdict["scope"], verdict["period"])
            self.expect("scope", named, named if named in tightest else tightest)

    def settle(self) -> Generator[Wish, Any, None]:
        """End one to four calls at once, some of them again, for a charge that may be out of bounds."""
        ended = {n: self.some_charge() for n in self.some_to_end() if self.may_settle(n)}
        rows = [
            settlement(self.id_of(n), charge, model=self.served(n, charge))
            for n, charge in ended.items()
        ]
        answers = yield Wish("settle", rows)
        # A batch ends what is open, then trues up what was swept, the oldest call first.
        for number in sorted(ended, key=lambda n: (self.is_swept(n), self.id_of(n))):
            charge = ended[number]
            unserved = {self.model_scope(number, m) for m in self.models(number)}
            unserved.discard(self.model_scope(number, self.served(number, charge)))
            wanted = self.model.settle(number, charge, unserved=tuple(unserved))
            self.expect("settlement", answers[self.id_of(number)], wanted)

    def foreign(self) -> Generator[Wish, Any, None]:
        """Let a process that does not hold a call try to end it."""
        [number] = self.some_calls(1)
        answers = yield Wish("foreign", [settlement(self.id_of(number), 700)])
        call = self.model.calls.get(number)
        self.expect("fence", answers[self.id_of(number)], (False, call.charge if call else None))

    def extend(self) -> Generator[Wish, Any, None]:
        """Raise the bounds of some calls, some by a step that was taken before."""
        steps = {
            n: (
                self.model.extensions.get(n, 0) + self.dice.randint(0, 1),
                self.dice.randint(0, 2_000),
            )
            for n in self.some_calls(4)
        }
        rows = [
            {"request_id": str(self.id_of(n)), "step": step, "more_nanousd": more}
            for n, (step, more) in steps.items()
        ]
        verdicts = yield Wish("extend", rows)
        for (number, (step, more)), verdict in zip(steps.items(), verdicts, strict=True):
            wanted = self.model.extend(number, step, more)
            self.expect("extension", (verdict["verdict"], verdict["upper"]), wanted)

    def renew(self) -> Generator[Wish, Any, None]:
        """Tell how far some calls have come."""
        told = {
            n: (self.dice.randint(0, 3_000), self.dice.random() < 0.6) for n in self.some_calls(6)
        }
        rows = [
            {
                "request_id": str(self.id_of(n)),
                "input_tokens": 1,
                "output_tokens": 1,
                "progress_nanousd": progress,
                "sent": sent,
            }
            for n, (progress, sent) in told.items()
        ]
        lost = yield Wish("renew", rows)
        for number, (progress, sent) in told.items():
            kept = self.model.renew(number, progress, sent=sent)
            self.expect("lease", str(self.id_of(number)) not in lost, kept)

    def sweep(self) -> Generator[Wish, Any, None]:
        """Let the leases of some calls end, and look at all calls after the sweep."""
        expired = [n for n, call in self.model.calls.items() if call.charge is None]
        expired = self.dice.sample(expired, self.dice.randint(0, len(expired)))
        yield Wish("sweep", [self.id_of(n) for n in expired])
        for number in expired:
            call = self.model.calls[number]
            # Nobody knows which model served; the one asked for is taken.
            charge = call.progress if call.sent else 0
            self.model.settle(number, charge, unserved=call.fallbacks)
            call.swept = True

    def cap(self) -> Generator[Wish, Any, None]:
        """Set, change or take away a cap."""
        scope = self.random_scope()
        # Members have no total.
        period = self.dice.choice(PERIODS[:3] if scope[0] == "member" else PERIODS)
        cap = self.dice.choice(CAPS)
        yield Wish("cap", [(scope, period, cap, self.counters_of() if self.eager else None)])
        self.model.set_cap(name_of(scope), period, cap)
        self.capped.pop((name_of(scope), period), None)
        if cap is not None:
            self.capped[name_of(scope), period] = (scope, period)

    def raise_cap(self) -> Generator[Wish, Any, None]:
        """Raise a cap for a time that is now, or is still to come, or end its raises."""
        capped = [one for one in self.capped.values() if one[0][0] != "member"]
        if not capped:
            return
        scope, period = self.dice.choice(capped)
        is_raised = (name_of(scope), period) in self.model.raises
        extra = None if is_raised and self.dice.random() < 0.5 else self.dice.choice((500, 2_000))
        begins = extra is None or self.dice.random() < 0.8
        yield Wish("raise", [(self.organization_id, scope, period, extra, begins)])
        if begins:
            self.model.raise_cap(name_of(scope), period, extra)

    def account(self) -> Generator[Wish, Any, None]:
        """Change how the organization pays: its credit limit, and whether an old invoice closes its wallet."""
        limit, is_blocked = self.dice.choice((0, 0, 3_000, 10_000)), self.dice.random() < 0.2
        yield Wish("account", [(self.organization_id, limit, is_blocked)])
        self.model.set_cap(*self.wallet, self.credit + limit)
        self.model.is_blocked = is_blocked

    def rejoin(self) -> Generator[Wish, Any, None]:
        """Let a member leave and come back: a new membership, without caps, that has spent what the keys spent."""
        maker = self.dice.randrange(len(self.members))
        before = self.members[maker]
        self.members[maker] = yield Wish("rejoin", [before])
        self.model.rename(f"member {before}", f"member {self.members[maker]}")

    def turn(self) -> Generator[Wish, Any, None]:
        """Let a period end now."""
        period = self.dice.choice(PERIODS[:3])
        opened = self.counters_of() if self.eager else None
        ended = yield Wish("turn", [(self.organization_id, period, opened)])
        for scope, period in ended:
            self.model.turn(name_of(scope), period)

    @property
    def eager(self) -> bool:
        """
        Whether the counter of a new cap is made at once rather than by the next call.

        Only a counter that is there binds true-ups and extensions; lazy worlds have neither.
        """
        return self.seed % 2 == 0

    def is_swept(self, number: int) -> bool:
        """Return whether a settlement of the call would be a true-up."""
        call = self.model.calls.get(number)
        return call is not None and call.swept

    def may_settle(self, number: int) -> bool:
        """Return whether the call is not to be trued up, or its world can say by how much."""
        return self.eager or not self.is_swept(number)

    @property
    def wallet(self) -> tuple[str, str]:
        """Return the wallet's name and period in the model."""
        return f"wallet {self.organization_id}", "total"

    def counters_of(self) -> tuple[list[int], list[int], list[int]]:
        """Return whose counters are to be made: organizations, projects, keys."""
        live = [key for key in self.keys if key.mode == "live"]
        projects = sorted({key.project_id for key in live})
        return [self.organization_id], projects, [key.id for key in live]

    # --- who calls what

    def some_calls(self, most: int) -> list[int]:
        """Return one or more different numbers."""
        return self.dice.sample(range(CALLS), self.dice.randint(1, most))

    def some_to_end(self) -> list[int]:
        """Return one or more different numbers, half of the time with a call that was swept."""
        numbers = self.some_calls(4)
        swept = [n for n in self.model.calls if self.is_swept(n) and n not in numbers]
        if swept and self.dice.random() < 0.5:
            numbers.append(self.dice.choice(swept))
        return numbers

    def some_bound(self, number: int) -> int:
        """Return an upper bound; one in four just fits, or just does not."""
        if self.dice.random() < 0.25:
            room = self.model.room(self.scopes(number) + self.fallback_scopes(number))
            return max(0, min(room + self.dice.randint(0, 1), 2**40))
        return self.dice.randint(0, 3_000)

    def some_charge(self) -> int:
        """Return a charge; one in ten is negative."""
        least, most = (-500, -1) if self.dice.random() < 0.1 else (0, 4_000)
        return self.dice.randint(least, most)

    def id_of(self, number: int) -> UUID:
        """Return the request id of a call."""
        return self.request_ids.setdefault(number, ids.new_uuid())

    def key_of(self, number: int) -> Key:
        """Return whose call it is."""
        return self.keys[number % len(self.keys)]

    def models(self, number: int) -> tuple[str, ...]:
        """Return the model asked for, then those that may stand in: none, one or two."""
        turn = number // len(self.keys)
        return tuple(MODELS[(turn + step) % len(MODELS)] for step in range(1 + turn % 3))

    def served(self, number: int, charge: int) -> str:
        """Return the model that served a call that costs so much."""
        return self.models(number)[charge % len(self.models(number))]

    def scopes(self, number: int) -> tuple[str, ...]:
        """Return what a call counts for."""
        key = self.key_of(number)
        if key.mode == "test":
            return ()
        organization = self.organization_id
        return (
            f"wallet {organization}",
            f"organization {organization}",
            f"project {key.project_id}",
            f"key {key.id}",
            f"member {self.members[key.maker]}",
            self.model_scope(number, self.models(number)[0]),
        )

    def fallback_scopes(self, number: int) -> tuple[str, ...]:
        """Return what a call counts for besides, until it is known which model served."""
        if self.key_of(number).mode == "test":
            return ()
        return tuple(self.model_scope(number, model) for model in self.models(number)[1:])

    def model_scope(self, number: int, model: str) -> str:
        """Return the scope of a call's key on a model."""
        return f"key_model {self.key_of(number).id} {model}"

    def random_scope(self) -> Scope:
        """Return a scope that may be capped."""
        key = self.dice.choice(self.keys[:3])
        return self.dice.choice((
            ("organization", self.organization_id, ""),
            ("project", key.project_id, ""),
            ("key", key.id, ""),
            ("member", self.members[key.maker], ""),
            ("key_model", key.id, self.dice.choice(MODELS)),
            ("key_model", key.id, self.dice.choice(MODELS)),
        ))  # fmt: skip

    def request(self, number: int, upper: int) -> ReserveRequest:
        """Return the request to admit a call."""
        key, models = self.key_of(number), self.models(number)
        return ReserveRequest(
            request_id=self.id_of(number),
            organization_id=self.organization_id,
            project_id=key.project_id,
            key_id=key.id,
            mode=key.mode,
            endpoint="chat/completions",
            model=models[0],
            fallback_models=models[1:],
            price_version_id=self.price_version_id,
            upper_nanousd=upper,
            streamed=False,
        )

    # --- what must be true

    def expect(self, rule: str, found: object, wanted: object) -> None:
        """Raise Violation unless both are the same."""
        if found != wanted:
            raise Violation(rule, seed=self.seed, found=found, wanted=wanted)

    def period_end(self, period: str) -> datetime | None:
        """Return when the present period ends, by the calendar of Python."""
        return period_end(
            period,
            now=datetime.now(UTC),
            zone=ZoneInfo(self.zone),
            week_start=self.week_start,
            month_day=self.month_day,
        )

    def check_books(
        self,
        *,
        counters: Iterable[Any],
        charges: dict[UUID, int],
        posted: dict[UUID, int],
        announced: set[UUID],
    ) -> None:
        """
        Compare the stored money with the model.

        `counters` are (scope, period, posted, held), `charges` those of the usage events, `posted` the transfers,
        `announced` the calls in the outbox.
        """
        wanted = {
            self.id_of(number): call.charge
            for number, call in self.model.calls.items()
            if call.charge is not None
        }
        self.expect("lost or double event", charges.keys(), wanted.keys())
        self.expect("platform loss", max(0, sum(wanted.values()) - sum(charges.values())), 0)
        self.expect("overcharge", charges, wanted)
        self.expect("outbox", announced, wanted.keys())
        moved = {id_: amount for id_, amount in posted.items() if amount}
        self.expect("ledger", moved, {id_: charge for id_, charge in wanted.items() if charge})
        for scope, period, spent, held in counters:
            if scope[0] == "member" and scope[1] not in self.members:
                continue  # counts no more: who comes back has a counter of their own
            calls = self.model.counted(name_of(scope), period)
            wanted_held = sum(call.upper for call in calls if call.charge is None)
            self.expect(f"held by {scope[0]}", held, wanted_held)
            self.expect(f"spent by {scope[0]}", spent, sum(call.charge or 0 for call in calls))

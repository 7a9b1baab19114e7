"""The money core in its simplest form: no counters, every question answered by adding up all calls."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Call:
    """One call as it stands; `charge` is None while it is open."""

    scopes: tuple[str, ...]  # what it counts for: its wallet, organization, project, key
    upper: int
    charge: int | None = None
    progress: int = 0
    sent: bool = False
    fallbacks: tuple[str, ...] = ()  # of the scopes, those of models named to stand in
    held_on: tuple[str, ...] = ()  # the scopes of the reservation
    swept: bool = False

    @property
    def weight(self) -> int:
        """What it takes from each of its caps."""
        return self.upper if self.charge is None else self.charge


@dataclass(slots=True)
class Reference:
    """Caps by (scope, period) and calls by id; all periods are the present one."""

    caps: dict[tuple[str, str], int] = field(default_factory=dict)
    calls: dict[int, Call] = field(default_factory=dict)

    def room(self, scopes: tuple[str, ...]) -> int:
        """Return the largest bound that would be admitted."""
        return min(
            cap - sum(call.weight for call in self.calls.values() if scope in call.scopes)
            for (scope, _), cap in self.caps.items()
            if scope in scopes
        )

    def reserve(
        self, number: int, scopes: tuple[str, ...], upper: int, *, fallbacks: tuple[str, ...] = ()
    ) -> str:
        """Admit the call or not."""
        if number in self.calls:
            return "ok" if self.calls[number].charge is None else "settled"
        if self.room(scopes + fallbacks) < upper:
            return "over"
        self.calls[number] = Call(
            scopes + fallbacks, upper, fallbacks=fallbacks, held_on=scopes + fallbacks
        )
        return "ok"

    def settle(
        self, number: int, charge: int, *, unserved: tuple[str, ...] = ()
    ) -> tuple[bool, int | None]:
        """
        End the call; return whether this ended it, and the charge that stands.

        `unserved` are the scopes of models that might have served and did not.
        """
        call = self.calls.get(number)
        if call is None:
            return False, None
        if call.charge is not None:
            if call.swept:
                self.true_up(call, min(max(charge, 0), call.upper), unserved)
            return False, call.charge
        call.charge = min(max(charge, 0), call.upper)
        call.scopes = tuple(scope for scope in call.scopes if scope not in unserved)
        return True, call.charge

    def true_up(self, call: Call, wanted: int, unserved: tuple[str, ...]) -> None:
        """Replace the estimate of a swept call, once, by what fits; without it, room is what it leaves."""
        estimate, counted = call.weight, call.scopes
        call.scopes, call.swept = (), False
        served = tuple(scope for scope in call.held_on if scope not in unserved)
        room = min(
            max(self.room((scope,)), estimate if scope in counted else 0)
            for scope in served
            if any(capped == scope for capped, _ in self.caps)
        )
        call.scopes, call.charge = served, min(wanted, room)

    def renew(self, number: int, progress: int, *, sent: bool) -> bool:
        """Note the progress; return whether the call is still open."""
        call = self.calls.get(number)
        if call is None or call.charge is not None:
            return False
        call.progress, call.sent = progress, call.sent or sent
        return True

    def sweep(self) -> int:
        """End every open call at its progress, as if all leases had ended; return how many."""
        swept = [number for number, call in self.calls.items() if call.charge is None]
        for number in swept:
            call = self.calls[number]
            # Nobody knows which model served; the one asked for is taken.
            self.settle(number, call.progress if call.sent else 0, unserved=call.fallbacks)
            call.swept = True
        return len(swept)

"""Which faults happen when: drawn from a seed alone, so that the seed replays the plan."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

GATEWAYS = ("gateway-1", "gateway-2")


@dataclass(frozen=True, slots=True)
class Kind:
    """
    One kind of fault. `seconds` is the range of how long it lasts (0 for what is over at once), `weight` how often
    it is drawn.
    """

    name: str
    targets: Sequence[str]
    weight: int
    seconds: tuple[float, float] = (0.0, 0.0)


# Leases of a run last 5 s (world.SETTINGS), so a long pause is longer than a lease and a short one is not.
KINDS = (
    Kind("kill", GATEWAYS, 14, (0.1, 1.5)),
    Kind("terminate", GATEWAYS, 6, (0.1, 1.0)),
    Kind("pause", GATEWAYS, 8, (0.3, 3.0)),
    Kind("pause beyond the lease", GATEWAYS, 5, (6.5, 8.5)),
    Kind("kill", ("worker", "beat"), 5, (0.1, 1.0)),
    Kind("terminate", ("worker", "beat"), 3, (0.1, 1.0)),
    Kind("pause", ("worker", "beat"), 4, (0.5, 4.0)),
    Kind("wipe", ("valkey",), 5),
    Kind("freeze", ("valkey",), 5, (0.5, 5.0)),
    Kind("kill", ("valkey",), 4, (0.2, 2.0)),
    Kind("restart", ("postgres",), 3, (0.0, 1.5)),
    Kind("crash", ("postgres",), 4, (0.0, 1.5)),
    Kind("terminate connections", ("postgres",), 6),
    Kind("cut", ("link",), 6),
    Kind("lose answer", ("billing_reserve", "billing_settle"), 12),
    Kind("lose answer", ("billing_extend", "billing_renew", "billing_sweep", "billing_roll_up"), 6),
    Kind("lose request", ("billing_reserve", "billing_settle", "billing_renew"), 6),
    Kind("delay", ("link",), 5, (0.3, 4.0)),
)


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: what happens to whom, so many seconds after the one before began, and for how long."""

    number: int
    after: float
    kind: str
    target: str
    seconds: float

    def __str__(self) -> str:
        lasting = f" for {self.seconds:.1f} s" if self.seconds else ""
        return (
            f"{self.number}: {self.kind} {self.target}{lasting}, {self.after:.1f} s after the last"
        )


@dataclass(frozen=True, slots=True)
class Happened:
    """A fault as it came to pass; times are `time.time()` seconds."""

    text: str
    kind: str
    target: str
    began_at: float
    ended_at: float


def plan(seed: int, *, count: int, mean_gap: float = 1.8) -> list[Fault]:
    """Return the faults of a seed; gaps are spread evenly around `mean_gap` seconds."""
    drawn = random.Random(f"faults {seed}")
    weights = [kind.weight for kind in KINDS]
    faults = []
    for number in range(1, count + 1):
        [kind] = drawn.choices(KINDS, weights)
        faults.append(
            Fault(
                number=number,
                after=round(drawn.uniform(0.2, 2 * mean_gap - 0.2), 2),
                kind=kind.name,
                target=drawn.choice(kind.targets),
                seconds=round(drawn.uniform(*kind.seconds), 2),
            )
        )
    return faults

"""
Compares what the provider, the clients and our books say of every call of a run.

Each rule yields what breaks it; nothing here reads the product's own idea of right and wrong, except for `ledger
verify`, which is run as well.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from billing.verification import verify
from exerati.lib import ids
from tests.faults.customers import (
    EXTENSION_TOKENS,
    FALLBACK,
    INPUT_COST,
    INPUT_PRICE,
    OUTPUT_COST,
    OUTPUT_PRICE,
    UNBOUNDED,
    UNBOUNDED_TOKENS,
)
from tests.faults.provider import ProviderCall
from tests.faults.records import Records, Row
from tests.faults.world import LEASE_SECONDS

# A progress is read, sent and stored within this, on a busy machine; longer only while a fault holds it up.
STORED_WITHIN_SECONDS = 2.0
INTERNAL_ERROR = 500
HOLD_UP = ("delay", "restart", "crash", "pause", "pause beyond the lease", "stall", "standstill")


@dataclass(frozen=True, slots=True)
class Problem:
    """A rule that is broken; `label` names the call, "" where it is about none."""

    rule: str
    text: str
    label: str = ""


Rule = Callable[[Records], Iterator[Problem]]


def problems(records: Records) -> list[Problem]:
    """Return everything that is wrong."""
    return [problem for rule in RULES for problem in rule(records)]


def lost(records: Records) -> Iterator[Problem]:
    """Every request that reached the provider, and every answer a client got, has its event."""
    for label, calls in records.provider.items():
        if label not in records.by_label:
            yield Problem(
                "lost", f"the provider got {len(calls)} requests, we have no event", label
            )
    known = {f"req_{ids.encode(event['request_id'])}" for event in records.events}
    for seen in records.seen.values():
        if seen.status == 200 and seen.request_id not in known:
            yield Problem("lost", f"{seen.request_id} was answered and has no event", seen.label)


def double(records: Records) -> Iterator[Problem]:
    """No call has two events, and no event more requests at the provider than it has attempts."""
    for label, events in records.by_label.items():
        if label and len(events) > 1:
            yield Problem("double", f"{len(events)} events", label)
        sent = len(records.provider.get(label, ()))
        if label and sent > max(event["attempts"] for event in events) and not _swept(events[0]):
            yield Problem("double", f"sent {sent} times, more often than attempted", label)


def reserved_first(records: Records) -> Iterator[Problem]:
    """What was sent to the provider had been reserved before."""
    for label, events in records.by_label.items():
        for call in records.provider.get(label, ()):
            held_at = records.reservations[events[0]["request_id"]]["created_at"].timestamp()
            if held_at > call.received_at:
                late = held_at - call.received_at
                yield Problem("reserved first", f"reserved {late:.3f} s after it was sent", label)


def caps(records: Records) -> Iterator[Problem]:
    """No commit left posted + held above a cap."""
    for breach in records.breaches:
        yield Problem("cap", f"{breach['scope']} {breach['scope_id']}: {dict(breach)}")


def leases(records: Records) -> Iterator[Problem]:
    """Nothing is swept while its lease holds."""
    for request_id, row in records.reservations.items():
        if row["swept_at"] and row["swept_at"] < row["lease_until"]:
            [event] = [e for e in records.events if e["request_id"] == request_id]
            yield Problem("lease", "swept before its lease had ended", records.label(event))


def amounts(records: Records) -> Iterator[Problem]:
    """Finished calls cost what the provider says to the nano-dollar, all others what their tokens cost."""
    for label, events in records.by_label.items():
        for event in events:
            calls = records.provider.get(label, [])
            if event["mode"] == "test":
                if event["charge_nanousd"]:
                    yield Problem("amount", "a test call was charged", label)
            elif not calls:
                if event["charge_nanousd"]:
                    yield Problem("amount", "charged, but never sent to the provider", label)
            else:
                for text in _wrong_amount(records, event, calls[-1]):
                    yield Problem("amount", text, label)


def _wrong_amount(records: Records, event: Row, call: ProviderCall) -> Iterator[str]:
    if 0 < event["charge_nanousd"] != priced(event) - our_loss(records, event):
        yield f"charged {event['charge_nanousd']}, its tokens cost {priced(event)}"
    stopped = event["model"] == UNBOUNDED and event["basis"] == "counted"  # no extension to be had
    if event["outcome"] == "finished" and not stopped:
        yield from _wrong_finished(records, event, call)
    elif _swept(event):
        yield from _wrong_estimate(records, event, call)
    elif event["outcome"] == "empty":
        if event["charge_nanousd"]:
            yield "charged for an empty answer"
    else:
        yield from _wrong_count(records, event, call)


def _wrong_finished(records: Records, event: Row, call: ProviderCall) -> Iterator[str]:
    if not call.finished:
        yield "finished for us, not for the provider"
    told, billed = call.reported, billable(records, event, call.pieces)
    if event["output_tokens"] != billed:
        yield f"{event['output_tokens']} tokens of output, the provider's ledger says {billed}"
    if told is None:
        return
    price = told[0] * INPUT_PRICE + billed * OUTPUT_PRICE
    if event["charge_nanousd"] != price - our_loss(records, event):
        yield f"charged {event['charge_nanousd']}, the provider's ledger says {told}"
    cost = told[0] * INPUT_COST + told[1] * OUTPUT_COST
    if event["provider_cost_nanousd"] != cost and event["model"] != FALLBACK:
        yield f"cost {event['provider_cost_nanousd']}, the provider's ledger says {cost}"


def _wrong_estimate(records: Records, event: Row, call: ProviderCall) -> Iterator[str]:
    """
    A call whose process was lost is charged for its progress at the last renewal of its lease.

    What had reached the client one progress interval before that is in it: the gateway had read, counted and sent it,
    however late it was starved into reading. What the provider had sent by then may have waited unread.
    """
    row = records.reservations[event["request_id"]]
    renewed_at = row["lease_until"].timestamp() - LEASE_SECONDS
    since = renewed_at - STORED_WITHIN_SECONDS - held_up(records, call.received_at, renewed_at)
    seen = records.seen[call.label]
    least, most = billable(records, event, seen.pieces_until(since)), call.pieces
    if seen.action in ("whole", "embedding"):
        least = 0  # nothing is delivered before all is
    if not least <= event["output_tokens"] <= most:
        yield (
            f"estimated {event['output_tokens']} tokens; the client had {least} one progress interval before the"
            f" last renewal, and the provider sent {most} in all"
        )


def _wrong_count(records: Records, event: Row, call: ProviderCall) -> Iterator[str]:
    """A call that ended early is charged for what was delivered."""
    seen = records.seen[call.label]
    if event["output_tokens"] > call.pieces:
        yield f"counted {event['output_tokens']} tokens, the provider sent {call.pieces}"
    # A process that could not hear of its extension stops at the bound that it knows of.
    least = min(seen.pieces, UNBOUNDED_TOKENS) if event["model"] == UNBOUNDED else seen.pieces
    if event["basis"] == "counted" and event["output_tokens"] < least:
        yield f"counted {event['output_tokens']} tokens, the client has {seen.pieces}"
    if event["basis"] == "waived" and seen.pieces:
        yield f"not charged, but the client has {seen.pieces} tokens"


def internal_errors(records: Records) -> Iterator[Problem]:
    """Nobody is told of an internal error, unless it was made at a crash point."""
    if any(fault.kind in ("exception", "cancel") for fault in records.faults):
        return
    for seen in records.seen.values():
        if seen.status == INTERNAL_ERROR:
            yield Problem("internal error", seen.error, seen.label)


def verified(records: Records) -> Iterator[Problem]:
    """`ledger verify` finds nothing."""
    for finding in verify.verify():
        if finding.broken:
            yield Problem("verify", f"{finding.name}: {finding.broken} broken, {finding.examples}")


def needless(records: Records) -> Iterator[Problem]:
    """A process that lives settles its own calls, late at worst: none of them stays an estimate."""
    for event in records.events:
        label = records.label(event)
        if not _swept(event) or event["basis"] == "waived" or not label:
            continue
        row = records.reservations[event["request_id"]]
        start, end = row["created_at"].timestamp(), row["swept_at"].timestamp()
        mine = records.seen[label].gateway.partition(".")[0]
        hurt = any(
            fault.target == mine and fault.began_at < end and fault.ended_at > start
            for fault in records.faults
        )
        if not hurt:
            yield Problem("needless estimate", f"{mine} was not hurt in that time", label)


RULES: tuple[Rule, ...] = (
    lost,
    double,
    reserved_first,
    caps,
    leases,
    amounts,
    needless,
    internal_errors,
    verified,
)


def priced(event: Row) -> int:
    """Return what an event's tokens cost, in nano-USD."""
    return int(event["input_tokens"] * INPUT_PRICE + event["output_tokens"] * OUTPUT_PRICE)


def billable(records: Records, event: Row, tokens: int) -> int:
    """Return how many of the tokens are inside the bound; those that came before it could be extended are our loss."""
    if event["model"] != UNBOUNDED:
        return tokens
    extensions = records.reservations[event["request_id"]]["extensions"]
    return int(min(tokens, UNBOUNDED_TOKENS + extensions * EXTENSION_TOKENS))


def our_loss(records: Records, event: Row) -> int:
    """Return what a true-up wanted and no budget had room for; nobody without a cap costs us that."""
    row = records.true_ups.get(event["request_id"])
    if row is None or records.by_name[event["key_id"]] == "free":
        return 0
    return int(row["wanted_nanousd"] - row["estimated_nanousd"] - row["applied_nanousd"])


def held_up(records: Records, start: float, end: float) -> float:
    """Return for how many seconds of a time faults were on that can hold up a renewal."""
    return sum(
        max(0.0, min(end, fault.ended_at) - max(start, fault.began_at))
        for fault in records.faults
        if fault.kind in HOLD_UP
    )


def figures(records: Records) -> dict[str, object]:
    """Return what the run is about, in numbers."""
    estimates = [e for e in records.events if _swept(e) and e["mode"] == "live"]
    differences = [
        priced(event) - _provider_price(records, event)
        for event in estimates
        if records.provider.get(records.label(event))
    ]
    waits = [
        (row["swept_at"] - row["lease_until"]).total_seconds()
        for row in records.reservations.values()
        if row["swept_at"]
    ]
    return {
        "calls": len(records.seen),
        "requests at the provider": sum(map(len, records.provider.values())),
        "events": len(records.events),
        "outcomes": dict(Counter(event["outcome"] for event in records.events)),
        "charged nano-USD": sum(event["charge_nanousd"] for event in records.events),
        "estimates": len(estimates),
        "extended reservations": sum(
            row["extensions"] > 0 for row in records.reservations.values()
        ),
        "true-ups": len(records.true_ups),
        "our loss by true-ups, nano-USD": sum(our_loss(records, e) for e in records.events),
        "estimates below the provider's ledger, nano-USD": -sum(differences),
        "largest difference of one, nano-USD": max(map(abs, differences), default=0),
        "slowest sweep after the end of a lease, s": round(max(waits, default=0), 1),
    }


def _provider_price(records: Records, event: Row) -> int:
    """What the call would have cost by the provider's own ledger, its prompt as we counted it."""
    call = records.provider[records.label(event)][-1]
    return int(event["input_tokens"] * INPUT_PRICE + call.pieces * OUTPUT_PRICE)


def _swept(event: Row) -> bool:
    return bool(event["outcome"] == "lost")

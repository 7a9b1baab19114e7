"""What the books say of an organization's calls, and whether they balance. Reads the database only."""

from django.db import connection

from accounts.models import Organization
from billing.models import Attempt, Budget, LedgerTransfer, Reservation, UsageEvent
from tests.upstream import WAIT_SECONDS, wait_until


def settled(
    organization: Organization,
    *,
    calls: int = 1,
    at_least: bool = False,
    seconds: float = WAIT_SECONDS,
) -> list[UsageEvent]:
    """Return the events of so many calls (or more) once all are settled, having checked that the books balance."""
    wait_until(lambda: _all_closed(organization, calls), seconds=seconds)
    check(organization)
    events = list(UsageEvent.objects.filter(organization=organization).order_by("occurred_at"))
    assert len(events) == calls or (at_least and len(events) > calls)
    return events


def only(organization: Organization, *, seconds: float = WAIT_SECONDS) -> UsageEvent:
    """Return the event of the organization's one call."""
    [event] = settled(organization, seconds=seconds)
    return event


def attempts(event: UsageEvent) -> list[tuple[str, int | None, str]]:
    """Return provider, status and error code of each try of a call, in order."""
    rows = Attempt.objects.filter(request_id=event.request_id).order_by("number")
    return list(rows.values_list("provider", "status", "error_code"))


def check(organization: Organization) -> None:
    """Assert that events, reservations, counters and ledger tell of the same money, and that nothing is held."""
    reservations = Reservation.objects.filter(organization=organization)
    events = UsageEvent.objects.filter(organization=organization)
    assert set(reservations.values_list("request_id", flat=True)) == set(
        events.values_list("request_id", flat=True)
    )
    assert not reservations.filter(state="open").exists()
    charged = sum(events.values_list("charge_nanousd", flat=True))
    for event in events:
        assert 0 <= event.charge_nanousd <= event.upper_nanousd
        assert Attempt.objects.filter(request_id=event.request_id).count() <= event.attempts
    for budget in Budget.objects.filter(organization=organization):
        assert budget.held_nanousd == 0
        assert budget.posted_nanousd == charged or budget.scope in ("key", "key_model")
    keys = Budget.objects.filter(organization=organization, scope="key", period="total")
    assert sum(keys.values_list("posted_nanousd", flat=True)) == charged
    transfers = LedgerTransfer.objects.filter(organization=organization, kind="usage")
    assert sum(transfers.values_list("amount_nanousd", flat=True)) == charged


def _all_closed(organization: Organization, calls: int) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*), count(*) FILTER (WHERE state = 'open') FROM billing_reservation"
            " WHERE organization_id = %s",
            [organization.pk],
        )
        made, still_open = cursor.fetchone()
    return bool(made >= calls and still_open == 0)

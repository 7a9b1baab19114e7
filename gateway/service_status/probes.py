"""
Looks every minute whether our own parts work, and stores what it found for the status page.

Run by beat. The API is asked over its public address as a customer would, so that what stands before it is tested,
too. If no worker runs, there are no minutes, and the page says so.
"""

import http.client
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

from django.conf import settings
from django.db import connection, transaction

from exerati.health import database_works, redis_works
from gateway.service_status.status_models import ProbeMinute

KEEP: Final = timedelta(days=91)
ANSWER_SECONDS: Final = 5
LATE_SECONDS: Final = 300  # settled calls are summed every 15 s; a backlog of 5 minutes is a fault
_OLDEST: Final = """
SELECT coalesce(extract(epoch FROM clock_timestamp() - min(e.settled_at)), 0)
FROM billing_outboxmessage m JOIN billing_usageevent e USING (request_id, occurred_at)
"""

Component = ProbeMinute.Component


@dataclass(frozen=True, slots=True)
class Found:
    """What one probe found."""

    works: bool
    took_ms: int


def run(now: datetime) -> dict[str, Found]:
    """Probe every component and store this minute; a second run in the same minute keeps a failure."""
    found = {component.value: _timed(probe) for component, probe in PROBES.items()}
    found[Component.BACKGROUND] = background()
    minute = now.replace(second=0, microsecond=0)
    with transaction.atomic():
        for component, one in found.items():
            ProbeMinute.objects.get_or_create(
                component=component,
                at=minute,
                defaults={"works": one.works, "took_ms": one.took_ms},
            )
            if not one.works:
                ProbeMinute.objects.filter(component=component, at=minute).update(works=False)
    return found


def prune(now: datetime) -> int:
    """Forget what is older than the page shows; return how many minutes that were."""
    return ProbeMinute.objects.filter(at__lt=now - KEEP).delete()[0]


def api_works() -> bool:
    """Say whether the API answers a call without a key as it should: with 401, by its own handler."""
    address = urlsplit(settings.API_BASE_URL)
    kinds = {"https": http.client.HTTPSConnection, "http": http.client.HTTPConnection}
    asked = kinds[address.scheme](str(address.hostname), address.port, timeout=ANSWER_SECONDS)
    try:
        asked.request("GET", f"{address.path}/models")
        answer = asked.getresponse()
        return answer.status == http.client.UNAUTHORIZED and b"missing_api_key" in answer.read()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        asked.close()


def background() -> Found:
    """Return how long the oldest settled call has waited to be summed, and whether that is all right."""
    with connection.cursor() as cursor:
        cursor.execute(_OLDEST)
        row = cursor.fetchone()
    seconds = float(row[0]) if row else 0.0
    return Found(seconds < LATE_SECONDS, max(0, round(seconds * 1_000)))


def _timed(probe: Callable[[], bool]) -> Found:
    started = time.monotonic()
    works = probe()
    return Found(works, round((time.monotonic() - started) * 1_000))


PROBES: Final[Mapping[ProbeMinute.Component, Callable[[], bool]]] = {
    Component.API: api_works,
    Component.DATABASE: database_works,
    Component.LIMITS: redis_works,
}

"""The status page: what the probes store, what is made of it, and what people see when something fails."""

import asyncio
import re
from datetime import UTC, datetime, timedelta

import pytest
from django.db import OperationalError, connection
from django.utils import timezone

from gateway.models import Incident, IncidentUpdate, ProbeMinute
from gateway.routes import route_stats
from gateway.routes.traffic import Counts
from gateway.service_status import probes, status
from gateway.snapshot import route_key
from tests import factories

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 18, 12, 0, 30, tzinfo=UTC)


@pytest.fixture(autouse=True)
def fresh_status():
    status.forget()
    yield
    status.forget()


def minutes(component, *, ago, count=1, works=True):
    """Store so many minutes of a component, the newest so long ago."""
    start = timezone.now().replace(second=0, microsecond=0) - ago
    ProbeMinute.objects.bulk_create(
        ProbeMinute(component=component, at=start - timedelta(minutes=n), works=works, took_ms=3)
        for n in range(count)
    )


def words(client):
    html = client.get("/status").content.decode()
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def all_work():
    for component in ProbeMinute.Component.values:
        minutes(component, ago=timedelta(0))


async def published(counts):
    publisher = route_stats.StatsPublisher()
    await publisher.publish({route_key("acme-ai", name): one for name, one in counts.items()})
    await publisher.close()


def test_everything_works(client):
    all_work()

    assert "Everything works" in words(client)
    assert client.get("/status.json").json()["status"] == "works"


def test_failed_component_is_the_headline(client):
    all_work()
    ProbeMinute.objects.filter(component="database").update(works=False)

    assert "Something does not work" in words(client)
    found = {one["name"]: one["status"] for one in client.get("/status.json").json()["components"]}
    assert found == {"api": "works", "database": "fails", "limits": "works", "background": "works"}


def test_old_probes_say_nothing_of_now(client):
    for component in ProbeMinute.Component.values:
        minutes(component, ago=timedelta(minutes=10))

    assert "No recent probe" in words(client)


def test_days_are_shares_of_the_minutes_that_are_known(client, time_machine):
    time_machine.move_to(NOW, tick=False)
    minutes("api", ago=timedelta(0), count=99)
    minutes("api", ago=timedelta(minutes=99), works=False)
    minutes("api", ago=timedelta(days=1), count=10)

    api = client.get("/status.json").json()["components"][0]

    assert [day["percent"] for day in api["days"][-3:]] == [None, 100.0, 99.0]
    assert len(api["days"]) == 90
    assert api["uptime_90d_percent"] == 99.09
    html = client.get("/status").content.decode()
    assert 'aria-label="API, 90 days: 18 Mar 99 %"' in html
    assert [html.count(f'class="{name}"') for name in ("strip-ok", "strip-warn")] == [1, 1]


def test_probe_stores_one_row_a_minute_and_keeps_a_failure(time_machine):
    time_machine.move_to(NOW, tick=False)
    first = probes.run(timezone.now())
    ProbeMinute.objects.filter(component="database").update(works=False)
    probes.run(timezone.now() + timedelta(seconds=20))

    assert ProbeMinute.objects.count() == len(first) == 4
    assert ProbeMinute.objects.filter(at=NOW.replace(second=0)).count() == 4
    assert not ProbeMinute.objects.get(component="database").works


def test_api_that_does_not_answer_fails(settings):
    settings.API_BASE_URL = "http://127.0.0.1:9/v1"

    assert probes.api_works() is False


def test_page_that_is_not_the_api_fails(settings, live_server):
    settings.API_BASE_URL = f"{live_server.url}/v1"  # the site alone: 404, as a wrong proxy would

    assert probes.api_works() is False


def test_background_work_that_is_behind_fails(acme_key, time_machine):
    event = factories.make_usage_event(acme_key.key)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO billing_outboxmessage (request_id, occurred_at, organization_id) VALUES (%s, %s, %s)",
            [event.request_id, event.occurred_at, event.organization_id],
        )
        assert probes.background().works
        cursor.execute("UPDATE billing_usageevent SET settled_at = settled_at - interval '1 hour'")

    late = probes.background()

    assert not late.works
    assert late.took_ms >= 3_600_000


def test_old_minutes_are_forgotten():
    minutes("api", ago=timedelta(days=92))
    minutes("api", ago=timedelta(days=89))

    assert probes.prune(timezone.now()) == 1


@pytest.mark.usefixtures("redis_url")  # empty at the start
def test_providers_are_the_mean_of_their_routes_by_calls(client):
    provider = factories.make_provider("acme-ai", title="Acme AI")
    for name in ("one", "two"):
        factories.make_model(name, provider=provider)
    asyncio.run(
        published(
            {
                # 300 calls, all answered: 200 ms to the first token, 50 tokens a second.
                "one": Counts(300, 0, 300 * 200, 300, 300 * 50, 300 * 1_000),
                # 100 calls of which 4 failed: 600 ms, 10 tokens a second.
                "two": Counts(96, 4, 100 * 600, 100, 100 * 10, 100 * 1_000),
            }
        )
    )

    [shown] = client.get("/status.json").json()["providers"]

    assert shown == {
        "name": "Acme AI",
        "calls_24h": 400,
        "uptime_24h_percent": 99.0,
        "first_token_1h_ms": 300,
        "tokens_per_second_1h": 40.0,
    }
    assert "Acme AI 400 99 %" in words(client)


def test_incident_is_told_by_staff_and_shown(client, admin_client):
    all_work()
    admin_client.post(
        "/admin/gateway/incident/add/",
        {
            "title": "Answers were slow",
            "impact": "major",
            "started_at_0": "2026-03-18",
            "started_at_1": "10:00:00",
            "updates-TOTAL_FORMS": "1",
            "updates-INITIAL_FORMS": "0",
            "updates-0-at_0": "2026-03-18",
            "updates-0-at_1": "10:05:00",
            "updates-0-state": "investigating",
            "updates-0-body": "We look into it.",
        },
    )
    incident = Incident.objects.get()

    shown = words(client)
    assert "Something does not work" in shown
    assert "Answers were slow Major" in shown
    assert "We look into it." in shown
    assert incident.resolved_at is None


def test_resolved_update_ends_the_incident(admin_client):
    incident = Incident.objects.create(title="x", impact="minor", started_at=NOW)
    update = IncidentUpdate.objects.create(incident=incident, at=NOW, state="identified", body="b")
    admin_client.post(
        f"/admin/gateway/incident/{incident.pk}/change/",
        {
            "title": "x",
            "impact": "minor",
            "started_at_0": "2026-03-18",
            "started_at_1": "12:00:30",
            "updates-TOTAL_FORMS": "2",
            "updates-INITIAL_FORMS": "1",
            "updates-0-id": update.pk,
            "updates-0-incident": incident.pk,
            "updates-0-at_0": "2026-03-18",
            "updates-0-at_1": "12:00:30",
            "updates-0-state": "identified",
            "updates-0-body": "b",
            "updates-1-at_0": "2026-03-18",
            "updates-1-at_1": "13:00:00",
            "updates-1-state": "resolved",
            "updates-1-body": "It works again.",
        },
    )

    incident.refresh_from_db()
    assert incident.resolved_at == NOW.replace(hour=13, minute=0, second=0)


def test_words_of_staff_are_shown_as_text(client):
    incident = Incident.objects.create(title="<script>a</script>", impact="minor")
    IncidentUpdate.objects.create(incident=incident, state="resolved", body="<img src=x>")

    html = client.get("/status").content.decode()

    assert "<script>a" not in html
    assert "<img" not in html


def test_page_is_made_once_in_a_while(client, django_assert_num_queries):
    client.get("/status")

    with django_assert_num_queries(0):
        client.get("/status")


def test_without_the_database_the_last_page_is_shown_with_what_is_certain(client, monkeypatch):
    all_work()
    client.get("/status")
    monkeypatch.setattr(status, "CACHED_SECONDS", 0)  # the page is old enough to be made anew

    def away(*arguments):
        raise OperationalError("the server closed the connection")

    with connection.execute_wrapper(away):
        found = client.get("/status.json").json()

    states = {one["name"]: one["status"] for one in found["components"]}
    assert states == {"api": "works", "database": "fails", "limits": "works", "background": "works"}
    assert found["status"] == "fails"

"""PostgreSQL goes away for seconds, Valkey forgets everything: streams go on, and no cent is lost."""

import asyncio
import json
import logging
import time
from collections import Counter

import aiohttp
import pytest
import redis

from tests.journeys.private_site import private_site
from tests.upstream import wait_until

logger = logging.getLogger(__name__)

AWAY_SECONDS = 4
MODEL = "sandbox/slow"


@pytest.fixture(scope="module")
def site():
    with private_site() as site:
        yield site


@pytest.fixture
def acme(site):
    organization = site.manage("org", "create", "Acme", "--owner", "alice@acme.example")["slug"]
    grant = ["--amount", "10", "--reason", "test"]
    site.manage("wallet", "grant", "--organization", organization, *grant)
    return organization


@pytest.fixture
def make_key(site, acme):
    """Return a function that makes a key of acme whose limits do not matter."""
    limits = ["--rpm", "1000000", "--tpm", "1000000000", "--concurrency", "10000"]

    def make():
        chosen = ["--organization", acme, "--name", "test", *limits]
        return site.manage("key", "create", *chosen)["api_key"]

    return make


def chat(session, server, secret, *, delay_ms, tokens, **fields):
    """Return the request of one call, to be entered."""
    body = {
        "model": MODEL,
        "messages": [
            {"role": "user", "content": f'{{"delay_ms": {delay_ms}, "tokens": {tokens}}}'}
        ],
        "max_completion_tokens": tokens,
        **fields,
    }
    headers = {"authorization": f"Bearer {secret}"}
    return session.post(f"{server.base_url}/chat/completions", json=body, headers=headers)


async def read_stream(session, server, secret, **options):
    """Return whether a stream came whole."""
    async with chat(session, server, secret, stream=True, **options) as response:
        text = await response.text()
    return response.status == 200 and '"error"' not in text and text.endswith("data: [DONE]\n\n")


@pytest.mark.slow
def test_without_postgresql_new_calls_are_told_to_wait_and_running_streams_go_on(
    site, acme, make_key
):
    known, never_seen = make_key(), make_key()

    async def take_postgres_away(servers):
        async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as group:
            streams = [
                group.create_task(read_stream(session, server, known, delay_ms=200, tokens=tokens))
                for server in servers
                for tokens in [15] * 10 + [50] * 10
            ]
            await asyncio.to_thread(wait_until, all_are_admitted)
            await asyncio.to_thread(site.stop, "postgres")
            refusals = await call_while_away(session, servers)
            await asyncio.to_thread(site.start_postgres)
            back_after = await wait_for_service(session, servers)
        return [stream.result() for stream in streams], refusals, back_after

    def all_are_admitted():
        with site.books() as books:
            return books.calls(books.organization(acme)) == 40

    async def call_while_away(session, servers):
        refusals: Counter[tuple[int, str, bool]] = Counter()
        until = time.monotonic() + AWAY_SECONDS
        while time.monotonic() < until:
            for server in servers:
                for secret in (known, never_seen):
                    async with chat(session, server, secret, delay_ms=0, tokens=1) as response:
                        error = json.loads(await response.text())["error"]
                    waits = "retry-after" in response.headers
                    refusals[response.status, error["code"], waits] += 1
            await asyncio.sleep(0.3)
        return refusals

    async def wait_for_service(session, servers):
        started = time.monotonic()
        for server in servers:
            status = 0
            while status != 200:
                assert time.monotonic() - started < 60, status
                async with chat(session, server, never_seen, delay_ms=0, tokens=1) as response:
                    status = response.status
                assert status in (200, 503)
        return time.monotonic() - started

    with site.servers(2) as servers:
        whole, refusals, back_after = asyncio.run(take_postgres_away(servers))
        with site.books() as books:
            organization = books.organization(acme)
            closed_after = books.wait_until_closed(organization)
            spent = books.check(organization)
            bases = Counter(event.basis for event in books.events(organization))

    assert whole == [True] * 40
    assert set(refusals) == {(503, "service_unavailable", True)}
    assert bases == {"reported": 42}
    logger.info(
        "%d calls refused; back after %.2f s, all settled %.2f s later, %d nano-USD",
        refusals.total(),
        back_after,
        closed_after,
        spent,
    )


@pytest.mark.slow
def test_valkey_wiped_and_stopped_under_load_costs_no_call_and_no_cent(site, acme, make_key):
    secret = make_key()

    async def shake_valkey(servers):
        async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as group:
            stop = asyncio.Event()
            callers = [
                group.create_task(call_until(stop, session, server))
                for server in servers
                for _ in range(10)
            ]
            for _ in range(20):
                await asyncio.sleep(0.1)
                await asyncio.to_thread(wipe)
            await asyncio.to_thread(site.stop, "valkey")
            await asyncio.sleep(2)
            await asyncio.to_thread(site.start_valkey)
            await asyncio.sleep(2)
            stop.set()
        return sum((caller.result() for caller in callers), Counter())

    async def call_until(stop, session, server):
        statuses: Counter[int] = Counter()
        while not stop.is_set():
            streamed = bool(statuses.total() % 2)
            call = chat(session, server, secret, delay_ms=5, tokens=5, stream=streamed)
            async with call as response:
                await response.read()
            statuses[response.status] += 1
        return statuses

    def wipe():
        with redis.Redis.from_url(site.redis_url) as connection:
            connection.flushall()

    with site.servers(2) as servers:
        statuses = asyncio.run(shake_valkey(servers))
        with site.books() as books:
            organization = books.organization(acme)
            books.wait_until_closed(organization)
            spent = books.check(organization)
            charges = {event.charge_nanousd for event in books.events(organization)}

    assert set(statuses) == {200}
    assert len(charges) == 1
    assert spent == statuses[200] * charges.pop()
    logger.info("%d calls, none failed, %d nano-USD", statuses[200], spent)

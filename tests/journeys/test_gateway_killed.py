"""Gateway processes that are killed or drained with streams under way: every call is settled exactly once."""

import asyncio
import logging
import signal
import socket
import time
from collections import Counter
from contextlib import asynccontextmanager
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI

from tests import factories
from tests.upstream import wait_until

logger = logging.getLogger(__name__)

# While calls are admitted, and while some settle.
MOMENTS_OF_KILLING = (0.1, 0.7, 1.2)
NO_LIMITS: dict[str, Any] = {
    "requests_per_minute": 10**6,
    "tokens_per_minute": 10**9,
    "concurrency": 10**4,
}


@pytest.fixture
def acme(transactional_db):
    factories.make_model("sandbox/slow")
    organization = factories.make_organization()
    factories.make_credit(organization)
    return organization


@pytest.fixture
def secret(acme):
    return factories.make_api_key(acme, **NO_LIMITS).secret


@asynccontextmanager
async def client_of(server, secret):
    """Yield an SDK client of one server that does not retry."""
    async with AsyncOpenAI(
        base_url=server.base_url, api_key=secret, max_retries=0, timeout=600
    ) as client:
        yield client


async def read_stream(client, *, delay_ms, tokens):
    """Read one stream to its end; return `whole` or how it broke."""
    content = f'{{"delay_ms": {delay_ms}, "tokens": {tokens}}}'
    try:
        stream = await client.chat.completions.create(
            model="sandbox/slow",
            messages=[{"role": "user", "content": content}],
            max_completion_tokens=tokens,
            stream=True,
        )
        async with stream:
            finish_reasons = [
                chunk.choices[0].finish_reason async for chunk in stream if chunk.choices
            ]
    except openai.APIError as error:
        return f"broken: {error.code or type(error).__name__}"
    return "whole" if finish_reasons[-1] == "stop" else "cut"


def start_streams(group, client, count, **options):
    """Start so many streams; return their tasks."""
    return [group.create_task(read_stream(client, **options)) for _ in range(count)]


async def until(condition):
    """Wait for what other processes do, without holding up the streams of this one."""
    await asyncio.to_thread(wait_until, condition)


def results(tasks):
    """Return how the streams ended."""
    return Counter(task.result() for task in tasks)


@pytest.mark.slow
def test_streams_of_a_killed_process_are_settled_by_another(start_servers, books, acme, secret):
    doomed, survivor = start_servers(2)

    async def kill_in_the_middle():
        async with client_of(doomed, secret) as lost, client_of(survivor, secret) as kept:
            async with asyncio.TaskGroup() as group:
                early = start_streams(group, lost, 30, delay_ms=500, tokens=1000)
                others = start_streams(group, kept, 10, delay_ms=500, tokens=40)
                await until(lambda: books.calls_with_progress(acme.pk) >= 30)
                late = start_streams(group, lost, 10, delay_ms=500, tokens=1000)
                await until(lambda: books.calls(acme.pk) == 50)
                await asyncio.to_thread(doomed.kill)
                killed_at = time.monotonic()
        return killed_at, results(early + late), results(others)

    killed_at, broken, whole = asyncio.run(kill_in_the_middle())
    books.wait_until_closed(acme.pk)
    swept_after = time.monotonic() - killed_at

    books.check(acme.pk)
    events = books.events(acme.pk)
    by_basis = Counter(event.basis for event in events)
    assert whole == {"whole": 10}
    assert broken.total() == 40
    assert "whole" not in broken
    assert by_basis["reported"] == 10
    assert by_basis["estimated"] >= 30
    assert by_basis["estimated"] + by_basis["waived"] == 40
    estimated = [event for event in events if event.basis == "estimated"]
    assert sum(event.output_tokens > 0 for event in estimated) >= 20
    # A call that was sent and had no output at the last progress report is free.
    assert all((event.charge_nanousd > 0) == (event.output_tokens > 0) for event in estimated)
    assert all(event.charge_nanousd < event.upper_nanousd for event in estimated)
    assert all(event.charge_nanousd == 0 for event in events if event.basis == "waived")
    logger.info("settled %.1f s after the kill: %s", swept_after, dict(by_basis))


@pytest.mark.slow
def test_killing_every_process_again_and_again_leaves_no_money_behind(
    start_servers, books, acme, secret
):
    async def run_until_killed(server, moment):
        async with client_of(server, secret) as client, asyncio.TaskGroup() as group:
            tasks = start_streams(group, client, 20, delay_ms=20, tokens=30)
            tasks += start_streams(group, client, 20, delay_ms=100, tokens=3000)
            await moment(tasks)
            await asyncio.to_thread(server.kill)
        return results(tasks)

    async def half_are_whole_and_the_rest_has_progress(tasks):
        await until(
            lambda: all(t.done() for t in tasks[:20]) and books.calls_with_progress(acme.pk) >= 20
        )

    endings: Counter[str] = Counter()
    moments = [lambda tasks, s=seconds: asyncio.sleep(s) for seconds in MOMENTS_OF_KILLING]
    for moment in [*moments, half_are_whole_and_the_rest_has_progress]:
        [server] = start_servers(1)
        endings += asyncio.run(run_until_killed(server, moment))
    killed_at = time.monotonic()
    start_servers(1)
    books.wait_until_closed(acme.pk)

    spent = books.check(acme.pk)
    outcomes = Counter(event.outcome for event in books.events(acme.pk))
    assert outcomes["finished"] >= endings["whole"] >= 20
    assert outcomes["lost"] >= 20
    assert outcomes.total() <= endings.total() == 40 * len(moments) + 40
    assert spent > 0
    logger.info(
        "%d kills, %s, %d nano-USD charged, settled %.1f s after the last kill",
        len(moments) + 1,
        dict(endings),
        spent,
        time.monotonic() - killed_at,
    )


def refuses_connections(server):
    """Return whether nobody listens at the server's port any more."""
    try:
        socket.create_connection(("127.0.0.1", server.port), timeout=60).close()
    except ConnectionRefusedError:
        return True
    return False


@pytest.mark.slow
def test_streams_under_way_finish_when_their_process_is_asked_to_end(
    start_servers, books, acme, secret
):
    [server] = start_servers(1, DRAIN_SECONDS=120)

    async def terminate_in_the_middle():
        async with client_of(server, secret) as client, asyncio.TaskGroup() as group:
            tasks = start_streams(group, client, 20, delay_ms=200, tokens=40)
            await until(lambda: books.open_calls(acme.pk) == 20)
            server.process.terminate()
            await until(lambda: refuses_connections(server))
        return results(tasks)

    endings = asyncio.run(terminate_in_the_middle())
    code = server.process.wait(timeout=60)

    assert endings == {"whole": 20}
    # The server ends itself with the signal once all is done.
    assert code == -signal.SIGTERM
    books.check(acme.pk)
    assert {event.basis for event in books.events(acme.pk)} == {"reported"}


@pytest.mark.slow
def test_streams_longer_than_the_drain_are_settled_before_their_process_ends(
    start_servers, books, acme, secret
):
    [server] = start_servers(1, DRAIN_SECONDS=1)

    async def terminate_in_the_middle():
        async with client_of(server, secret) as client, asyncio.TaskGroup() as group:
            tasks = start_streams(group, client, 20, delay_ms=200, tokens=3000)
            await until(lambda: books.calls_with_progress(acme.pk) == 20)
            server.process.terminate()
        return results(tasks)

    endings = asyncio.run(terminate_in_the_middle())
    server.process.wait(timeout=60)

    assert "whole" not in endings
    assert endings.total() == 20
    assert books.check(acme.pk) > 0
    assert {(event.basis, event.error_code) for event in books.events(acme.pk)} == {
        ("counted", "service_unavailable")
    }


@pytest.mark.slow
def test_whole_answers_longer_than_the_drain_are_told_to_try_again_and_cost_nothing(
    start_servers, books, acme, secret
):
    [server] = start_servers(1, DRAIN_SECONDS=1)

    async def call_whole(client):
        with pytest.raises(openai.InternalServerError) as raised:
            await client.chat.completions.create(
                model="sandbox/slow",
                messages=[{"role": "user", "content": '{"delay_ms": 60000, "tokens": 3}'}],
                max_completion_tokens=3,
            )
        return raised.value.status_code, raised.value.code

    async def terminate_in_the_middle():
        async with client_of(server, secret) as client, asyncio.TaskGroup() as group:
            tasks = [group.create_task(call_whole(client)) for _ in range(5)]
            await until(lambda: books.open_calls(acme.pk) == 5)
            server.process.terminate()
        return [task.result() for task in tasks]

    answers = asyncio.run(terminate_in_the_middle())
    server.process.wait(timeout=60)

    assert answers == [(503, "service_unavailable")] * 5
    assert books.check(acme.pk) == 0

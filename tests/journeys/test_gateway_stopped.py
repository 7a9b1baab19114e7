"""A gateway process that stands still for longer than its leases, and then goes on as if nothing had been."""

import asyncio
import logging
import signal
import time
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import aiohttp
import pytest

from billing.verification import verify
from tests import factories
from tests.journeys.watch import NO_LIMITS, Watch
from tests.upstream import Upstream, wait_until

logger = logging.getLogger(__name__)

STREAMS = 10
MODEL = "dripping"
# Far more than anybody waits for: each stream ends because its lease was lost.
PIECES = (" word",) * 1_000
PIECE_SECONDS = 0.3
MOST_TOKENS = len(PIECES)
INPUT_NANOUSD, OUTPUT_NANOUSD = 100, 400  # a token, by the default price
# In the proportions of those that are shipped; a busy machine may hold up a renewal for seconds.
SHORT_LEASES = {
    "LEASE_SECONDS": 8,
    "LEASE_RENEW_SECONDS": 1,
    "LEASE_STALE_SECONDS": 6,
    "SWEEP_SECONDS": 1,
}


@pytest.fixture
def upstream():
    with Upstream() as upstream:
        upstream.script(MODEL, pieces=PIECES, piece_seconds=PIECE_SECONDS)
        yield upstream


@contextmanager
def standing_still(server):
    """Stop a process where it is, and let it go on."""
    server.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        server.process.send_signal(signal.SIGCONT)


async def read_stream(session, server, secret):
    """Read one stream until it ends; return its text."""
    body = {
        "model": MODEL,
        "messages": [{"role": "user", "content": "Hello"}],
        "max_completion_tokens": MOST_TOKENS,
        "stream": True,
    }
    headers = {"authorization": f"Bearer {secret}"}
    url = f"{server.base_url}/chat/completions"
    async with session.post(url, json=body, headers=headers) as response:
        assert response.status == 200
        return await response.text()


async def stop_in_the_midst(server, secret, *, until_stopped, while_stopped):
    """Read STREAMS streams of a server that is stopped once `until_stopped` holds, for as long as the other says."""
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None)) as session,
        asyncio.TaskGroup() as group,
    ):
        streams = [group.create_task(read_stream(session, server, secret)) for _ in range(STREAMS)]
        await asyncio.to_thread(wait_until, until_stopped)
        with standing_still(server):
            await asyncio.to_thread(while_stopped)
    return [stream.result() for stream in streams]


@pytest.mark.slow
def test_streams_of_a_process_stopped_beyond_its_lease_are_charged_once(
    start_servers, books, upstream, database_url
):
    factories.make_model(MODEL, provider=factories.make_provider(base_url=upstream.base_url))
    acme = factories.make_organization()
    factories.make_credit(acme)
    cap = 2 * STREAMS * MOST_TOKENS * OUTPUT_NANOUSD
    secret = factories.make_api_key(acme, budget_month_nanousd=cap, **NO_LIMITS).secret
    stopped, awake = start_servers(2, **SHORT_LEASES)
    estimates: dict[UUID, Any] = {}

    def others_settle_and_the_provider_goes_on():
        started = time.monotonic()
        sent = [call.pieces_sent for call in upstream.calls]
        books.wait_until_closed(acme.pk)
        logger.info("settled by the other process %.1f s later", time.monotonic() - started)
        estimates.update((event.request_id, event) for event in books.events(acme.pk))
        wait_until(
            lambda: all(
                call.pieces_sent > before + 2
                for call, before in zip(upstream.calls, sent, strict=True)
            )
        )

    with Watch(database_url, acme.pk, caps={("key", "month"): cap}) as watch:
        texts = asyncio.run(
            stop_in_the_midst(
                stopped,
                secret,
                until_stopped=lambda: books.calls_with_progress(acme.pk) == STREAMS,
                while_stopped=others_settle_and_the_provider_goes_on,
            )
        )
        # What the stopped process delivered beyond the estimates is settled late, once.
        wait_until(lambda: len(books.true_ups(acme.pk)) == STREAMS)

    watch.check()
    assert len(estimates) == STREAMS
    assert {(event.outcome, event.basis) for event in estimates.values()} == {("lost", "estimated")}
    assert all("reservation could not be renewed" in text for text in texts), texts
    events = {event.request_id: event for event in books.events(acme.pk)}
    assert {(event.error_code, event.basis) for event in events.values()} == {
        ("service_unavailable", "counted")
    }
    for true_up in books.true_ups(acme.pk):
        event, estimate = events[true_up.request_id], estimates[true_up.request_id]
        assert true_up.estimated_nanousd == estimate.charge_nanousd
        assert true_up.applied_nanousd == event.charge_nanousd - estimate.charge_nanousd >= 0
    assert all(
        event.charge_nanousd
        == event.input_tokens * INPUT_NANOUSD + event.output_tokens * OUTPUT_NANOUSD
        for event in events.values()
    )
    delivered = sorted(text.count(" word") for text in texts)
    assert sorted(event.output_tokens for event in events.values()) == delivered
    assert sum(true_up.applied_nanousd for true_up in books.true_ups(acme.pk)) > 0
    assert books.check(acme.pk) == sum(event.charge_nanousd for event in events.values())
    assert [finding for finding in verify.verify() if finding.broken] == []
    # Both serve again.
    upstream.script(MODEL)
    for server in (stopped, awake):
        assert server.chat(secret, model=MODEL).status == 200

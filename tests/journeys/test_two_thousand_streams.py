"""
Two thousand streams at the same moment on one cap, over two gateways: never a nano-dollar above it, and all of it used.

The suite runs 400, which a busy machine accepts within the deadline for headers. The full form:
`EXERATI_STREAMS=2000 python3 manage.py test tests/journeys/test_two_thousand_streams.py -- -n 0 -o log_cli=true
--log-cli-level=INFO`.
"""

import asyncio
import itertools
import logging
import os
import time
from collections import Counter

import aiohttp
import pytest

from tests import factories
from tests.journeys.watch import NO_LIMITS, Watch

logger = logging.getLogger(__name__)

STREAMS = int(os.environ.get("EXERATI_STREAMS", "400"))
ASKED = STREAMS * 5 // 4
TOKENS = 40
MODEL = "sandbox/slow"
FIRST_CALLS = 100
FIRST_CALLS_AFFORDED = 30


def body(*, delay_ms):
    """Return a call that writes as much as it may; its bound is the same however long it waits."""
    return {
        "model": MODEL,
        "messages": [
            {"role": "user", "content": f'{{"delay_ms": {delay_ms:4}, "tokens": {TOKENS}}}'}
        ],
        "max_completion_tokens": TOKENS,
        "stream": True,
    }


async def stream_all(servers, secret, *, count, delay_ms):
    """Open so many streams at once, over all servers in turn, and read each to its end; count how they went."""
    connector = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(total=None)
    headers = {"authorization": f"Bearer {secret}"}

    async def stream(server):
        url = f"{server.base_url}/chat/completions"
        async with session.post(url, json=body(delay_ms=delay_ms), headers=headers) as response:
            text = await response.text()
        if response.status == 200:
            return "whole" if text.endswith("data: [DONE]\n\n") and '"error"' not in text else "cut"
        return (await response.json())["error"]["code"]

    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        turns = itertools.islice(itertools.cycle(servers), count)
        return Counter(await asyncio.gather(*map(stream, turns)))


def price_of_one(servers, books):
    """Return bound and charge of one call in nano-USD, learned from a call of another customer."""
    other = factories.make_organization()
    factories.make_credit(other)
    secret = factories.make_api_key(other, **NO_LIMITS).secret
    assert asyncio.run(stream_all(servers, secret, count=1, delay_ms=0)) == {"whole": 1}
    books.wait_until_closed(other.pk)
    [event] = books.events(other.pk)
    return event.upper_nanousd, event.charge_nanousd


@pytest.fixture
def servers(start_servers):
    factories.make_model(MODEL)
    return start_servers(2)


@pytest.mark.slow
def test_two_thousand_streams_use_one_cap_up_and_never_pass_it(servers, books, database_url):
    upper, charge = price_of_one(servers, books)
    acme = factories.make_organization()
    factories.make_credit(acme)
    cap = STREAMS * upper + 1
    secret = factories.make_api_key(acme, budget_month_nanousd=cap, **NO_LIMITS).secret
    started = time.monotonic()

    with Watch(database_url, acme.pk, caps={("key", "month"): cap}) as watch:
        # Long enough that all are open at the same time.
        outcomes = asyncio.run(stream_all(servers, secret, count=ASKED, delay_ms=250))
        books.wait_until_closed(acme.pk)
        later: Counter[str] = Counter()
        while (again := asyncio.run(stream_all(servers, secret, count=200, delay_ms=0)))["whole"]:
            later += again
            books.wait_until_closed(acme.pk)

    watch.check()
    spent = books.check(acme.pk)
    assert outcomes == {"whole": STREAMS, "insufficient_quota": ASKED - STREAMS}
    assert set(later) <= {"whole", "insufficient_quota"}
    assert spent == (outcomes["whole"] + later["whole"]) * charge
    assert cap - upper < spent <= cap
    assert spent >= cap * 95 // 100
    logger.info(
        "%d streams, %d open at once, %d samples, overshoot 0, %.2f %% of the cap used, %.0f s",
        STREAMS,
        watch.most_open,
        watch.samples,
        100 * spent / cap,
        time.monotonic() - started,
    )


@pytest.mark.slow
def test_first_calls_ever_of_a_key_at_once_share_one_exact_cap(servers, books, database_url):
    upper, _ = price_of_one(servers, books)
    for capped in ("budget_month_nanousd", "budget_day_nanousd", "budget_total_nanousd"):
        new = factories.make_organization()
        factories.make_credit(new)
        cap = FIRST_CALLS_AFFORDED * upper
        secret = factories.make_api_key(new, **{capped: cap}, **NO_LIMITS).secret
        period = capped.split("_")[1]

        with Watch(database_url, new.pk, caps={("key", period): cap}) as watch:
            outcomes = asyncio.run(stream_all(servers, secret, count=FIRST_CALLS, delay_ms=100))
            books.wait_until_closed(new.pk)

        watch.check()
        books.check(new.pk)
        assert outcomes == {
            "whole": FIRST_CALLS_AFFORDED,
            "insufficient_quota": FIRST_CALLS - FIRST_CALLS_AFFORDED,
        }

"""A budget that cannot be overspent: 500 calls at once on a key that affords 50, through two processes."""

import asyncio
import itertools
import logging
from collections import Counter
from datetime import UTC, datetime

import pytest
from openai import AsyncOpenAI, RateLimitError

from exerati.lib.money import usd_text
from tests import factories
from tests.journeys.watch import NO_LIMITS, Watch

logger = logging.getLogger(__name__)

CALLS = 500
AFFORDED = 50
OUTPUT_TOKENS = 16
CALL = {
    "messages": [{"role": "user", "content": f'{{"delay_ms": 20, "tokens": {OUTPUT_TOKENS}}}'}],
    "max_completion_tokens": OUTPUT_TOKENS,
}


async def call(client, *, streamed, model):
    """Make one call and return `answered`, or the code of the refusal."""
    try:
        if not streamed:
            await client.chat.completions.create(model=model, **CALL)
            return "answered"
        async with await client.chat.completions.create(model=model, stream=True, **CALL) as stream:
            async for _ in stream:
                pass
        return "answered"
    except RateLimitError as error:
        return error.code


async def call_many(servers, secret, *, count, model):
    """Make so many calls at once, whole and streamed in turn, over all servers; count the outcomes."""
    clients = [
        AsyncOpenAI(base_url=server.base_url, api_key=secret, max_retries=0, timeout=600)
        for server in servers
    ]
    try:
        turns = zip(itertools.cycle([*clients, *reversed(clients)]), range(count), strict=False)
        calls = [call(client, streamed=bool(n % 2), model=model) for client, n in turns]
        return Counter(await asyncio.gather(*calls))
    finally:
        for client in clients:
            await client.close()


async def call_until_nothing_fits(servers, secret, *, model):
    """Repeat what was refused until a whole round is; return the outcomes of all rounds together."""
    outcomes = await call_many(servers, secret, count=CALLS, model=model)
    while True:
        again = await call_many(servers, secret, count=AFFORDED, model=model)
        outcomes += again
        if not again["answered"]:
            return outcomes


def price_of_one_call(servers, books, *, model):
    """Return the upper bound and the charge of one call in nano-USD, learned from a call of another customer."""
    other = factories.make_organization()
    factories.make_credit(other)
    secret = factories.make_api_key(other, **NO_LIMITS).secret
    assert asyncio.run(call_many(servers, secret, count=1, model=model)) == {"answered": 1}
    books.wait_until_closed(other.pk)
    [event] = books.events(other.pk)
    return event.upper_nanousd, event.charge_nanousd


@pytest.mark.slow
def test_500_calls_at_once_on_a_key_that_affords_50_spend_exactly_its_budget(
    start_servers, books, database_url
):
    # Input is free and output as long as allowed, so that a call costs exactly its upper bound.
    model = factories.make_model("sandbox/slow")
    factories.make_price(
        model.name, input_microusd_per_mtok=0, effective_from=datetime(2021, 1, 1, tzinfo=UTC)
    )
    servers = start_servers(2)
    upper, charge = price_of_one_call(servers, books, model=model.name)
    acme = factories.make_organization()
    factories.make_credit(acme)
    cap = AFFORDED * upper
    secret = factories.make_api_key(acme, budget_month_nanousd=cap, **NO_LIMITS).secret

    with Watch(database_url, acme.pk, caps={("key", "month"): cap}) as watch:
        outcomes = asyncio.run(call_many(servers, secret, count=CALLS, model=model.name))
        books.wait_until_closed(acme.pk)

    watch.check()
    assert charge == upper
    assert outcomes == {"answered": AFFORDED, "insufficient_quota": CALLS - AFFORDED}
    assert books.check(acme.pk) == cap
    report("exact", watch, used=1.0)


@pytest.mark.slow
@pytest.mark.parametrize("scope", ["key", "wallet"])
def test_calls_that_cost_less_than_their_bound_use_the_budget_up_and_never_pass_it(
    start_servers, books, database_url, scope
):
    model = factories.make_model("sandbox/slow")
    servers = start_servers(2)
    upper, charge = price_of_one_call(servers, books, model=model.name)
    acme = factories.make_organization()
    cap = AFFORDED * upper + 1
    capped = capped_organization(acme, scope=scope, cap=cap)
    rules = {"budget_month_nanousd": cap} if scope == "key" else {}
    secret = factories.make_api_key(acme, **rules, **NO_LIMITS).secret

    with Watch(database_url, acme.pk, caps={capped: cap}) as watch:
        outcomes = asyncio.run(call_until_nothing_fits(servers, secret, model=model.name))
        books.wait_until_closed(acme.pk)

    watch.check()
    spent = books.check(acme.pk)
    assert charge < upper
    assert set(outcomes) == {"answered", "insufficient_quota"}
    assert spent == outcomes["answered"] * charge
    assert cap * 95 // 100 <= spent <= cap
    # No call that would have fitted was refused at the end.
    assert spent + upper > cap
    report(scope, watch, used=spent / cap)


def capped_organization(organization, *, scope, cap):
    """Put the cap on the wallet, or leave room there for far more; return the name of the counter that binds."""
    if scope == "wallet":
        factories.make_credit(organization, usd=usd_text(cap))
        return ("wallet", "total")
    factories.make_credit(organization)
    return ("key", "month")


def report(form, watch, *, used):
    """Log the figures of a run; `-o log_cli=true --log-cli-level=INFO` shows them."""
    logger.info(
        "%s: %d samples, %d calls open at once, %.1f %% of the cap used",
        form,
        watch.samples,
        watch.most_open,
        100 * used,
    )

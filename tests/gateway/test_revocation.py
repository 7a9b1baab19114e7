"""A key that is revoked is refused by every process within a second, and its streams are cut and settled."""

import json
import logging
import time

import pytest

from apikeys import services
from tests import gateway_server
from tests.gateway import books
from tests.gateway.caller import Caller
from tests.upstream import wait_until

ENDLESS = {"pieces": ["x "] * 3000, "piece_seconds": 0.1}

logger = logging.getLogger(__name__)


def refused(gateway, secret):
    return gateway.request("GET", "/v1/models", key=secret).status == 401


@pytest.fixture(scope="module")
def told_process(gateway_database_url, redis_url):
    """A process that does not look for changes by itself: what it learns, it was told."""
    with gateway_server.running(
        database_url=gateway_database_url, redis_url=redis_url, KEY_SNAPSHOT_SECONDS=3600
    ) as process:
        yield process


def test_every_process_is_told_of_a_revoked_key_at_once(shop, told_process):
    gateways = (shop.gateway, told_process)
    for gateway in gateways:
        assert not refused(gateway, shop.secret)

    services.revoke_key(shop.key.key, actor=None)

    started = time.monotonic()
    wait_until(lambda: all(refused(gateway, shop.secret) for gateway in gateways))
    logger.info("refused by all %.0f ms later", 1000 * (time.monotonic() - started))


def test_without_redis_a_revoked_key_is_refused_by_the_next_look(shop, lonely_gateway):
    assert not refused(lonely_gateway, shop.secret)

    services.revoke_key(shop.key.key, actor=None)

    wait_until(lambda: refused(lonely_gateway, shop.secret))


def test_revoked_key_spends_nothing_even_before_its_process_has_looked(shop, lonely_gateway):
    lonely_gateway.learn(shop.model, key=shop.secret)

    services.revoke_key(shop.key.key, actor=None)

    answer = lonely_gateway.chat(shop.secret, model=shop.model)
    assert (answer.status, answer.error["code"]) == (401, "key_revoked")
    assert shop.upstream.calls == []


@pytest.mark.parametrize("with_redis", [True, False])
def test_running_streams_of_a_revoked_key_are_cut(shop, lonely_gateway, with_redis):
    gateway = shop.gateway if with_redis else lonely_gateway
    gateway.learn(shop.model, key=shop.secret)
    shop.script(**ENDLESS)
    caller = Caller(shop, gateway=gateway)
    caller.read_until(b"x ")

    started = time.monotonic()
    services.revoke_key(shop.key.key, actor=None)

    caller.read_until(b"data: [DONE]\n\n")
    logger.info("cut %.0f ms later", 1000 * (time.monotonic() - started))
    error = json.loads(caller.read.split(b'data: {"error":')[1].split(b"\n\n")[0][:-1])
    assert error["code"] == "key_revoked"
    event = books.only(shop.organization)
    assert (event.outcome, event.basis, event.error_code) == ("failed", "counted", "key_revoked")
    assert event.charge_nanousd > 0
    wait_until(lambda: shop.upstream.calls[0].ended_at is not None)
    caller.hang_up()


def test_whole_call_of_a_revoked_key_is_stopped(shop):
    shop.script(delay_seconds=600)
    caller = Caller(shop, stream=False)
    shop.upstream.wait_for(shop.model)

    services.revoke_key(shop.key.key, actor=None)

    assert caller.status == 401
    caller.read_until(b"}}")
    assert b'"key_revoked"' in caller.read
    event = books.only(shop.organization)
    assert (event.outcome, event.charge_nanousd) == ("failed", 0)
    caller.hang_up()


def test_streams_of_other_keys_go_on(shop):
    other = shop.make_key()
    shop.script(pieces=["x "] * 8, piece_seconds=0.1)
    caller = Caller(shop, key=other)
    caller.read_until(b"x ")

    services.revoke_key(shop.key.key, actor=None)

    caller.read_until(b"data: [DONE]\n\n")
    assert b'"error"' not in caller.read
    caller.hang_up()

"""Silent streams are kept open by comments; a process of its own, since in the others a silence is not filled."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from tests import gateway_server
from tests.gateway import books
from tests.gateway.conftest import check_log
from tests.gateway.test_streams import events
from tests.gateway_server import Gateway
from tests.upstream import wait_until


@pytest.fixture(scope="module")
def chatty_process(gateway_database_url: str, redis_url: str) -> Iterator[Gateway]:
    with gateway_server.running(
        database_url=gateway_database_url, redis_url=redis_url, KEEPALIVE_SECONDS=0.5
    ) as process:
        yield process
        check_log(process)


@pytest.fixture
def gateway(committed: None, chatty_process: Gateway) -> Gateway:
    return chatty_process


def test_silence_is_filled_with_comments(shop):
    shop.script(pieces=["a", "b"], piece_seconds=2.2)

    answer = shop.chat(stream=True)

    assert answer.body.count(b": ping\n\n") >= 1
    text = [c["choices"][0]["delta"].get("content") for c in events(answer) if c["choices"]]
    assert "".join(filter(None, text)) == "ab"


def test_silence_before_the_first_token_is_filled_too_and_an_error_after_it_is_an_event(shop):
    shop.script(status=500, delay_seconds=2.2)

    answer = shop.chat(stream=True)

    assert (answer.status, answer.body.count(b": ping\n\n") >= 1) == (200, True)
    assert events(answer)[-1]["error"]["code"] == "provider_error"
    assert books.only(shop.organization).outcome == "failed"


def test_no_comment_follows_the_end_though_the_settlement_takes_long(shop):
    shop.chat()  # makes the organization's counters
    shop.script(pieces=["a", "b"], piece_seconds=0.3)

    with ThreadPoolExecutor() as pool, connection.cursor() as cursor:
        answering = pool.submit(shop.chat, stream=True)
        wait_until(lambda: len(shop.upstream.calls) == 2)
        cursor.execute("BEGIN")
        cursor.execute(
            "SELECT 1 FROM billing_budget WHERE organization_id = %s FOR UPDATE",
            [shop.organization.pk],
        )
        answer = answering.result(60)
        time.sleep(2)  # longer than a silence that would be filled
        cursor.execute("ROLLBACK")

    assert answer.body.endswith(b"data: [DONE]\n\n")
    books.settled(shop.organization, calls=2)
    assert "Unexpected ASGI message" not in shop.gateway.log

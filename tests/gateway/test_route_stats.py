"""Uptime and speed of routes: counted by each process, summed in Redis, shown to whoever asks."""

import asyncio
import time

import pytest

from gateway.routes import route_stats
from gateway.routes.route_stats import StatsPublisher
from gateway.routes.traffic import Counts
from tests.upstream import wait_until


def publish(*counts):
    """Publish as one process does, once for each."""

    async def run():
        publisher = StatsPublisher()
        for one in counts:
            await publisher.publish(one)
        await publisher.close()

    asyncio.run(run())


def test_the_counts_of_all_processes_are_added_up(redis_url):
    key = f"acme/sums-{time.time()}"
    first = Counts(ok=8, failed=1, first_token_ms=900, first_tokens=3)
    second = Counts(ok=1, first_token_ms=300, first_tokens=1, output_tokens=500, output_ms=2_000)

    publish({key: first}, {key: second})

    figures = route_stats.read([key], now=time.time())[key]
    assert (figures["24h"].calls, figures["24h"].uptime_percent) == (10, 90.0)
    assert (figures["1h"].first_token_ms, figures["1h"].tokens_per_second) == (300, 250.0)


def test_a_span_ends_where_it_says(redis_url):
    key = f"acme/spans-{time.time()}"
    publish({key: Counts(ok=1)})

    later = route_stats.read([key], now=time.time() + 30 * 60)[key]

    assert later["5m"].calls == 0
    assert later["5m"].uptime_percent is None
    assert later["1h"].calls == 1


def test_what_was_published_is_not_published_again(redis_url):
    counts = {f"acme/once-{time.time()}": Counts(ok=1)}
    [key] = counts

    publish(counts, counts)

    assert route_stats.read([key], now=time.time())[key]["24h"].calls == 1


def test_counts_wait_while_redis_is_away(settings):
    settings.REDIS_URL = "redis://127.0.0.1:9/0"
    counts = {"acme/away": Counts(ok=2)}

    publish(counts)

    assert counts["acme/away"].ok == 2
    assert route_stats.read(["acme/away"], now=time.time()) == {}


@pytest.mark.parametrize("stream", [False, True])
def test_the_endpoints_of_a_model_tell_uptime_and_speed(shop, stream):
    shop.script(pieces=["one "] * 20, piece_seconds=0.01)
    shop.chat(stream=stream)
    shop.script(status=500, headers={"retry-after": "60"})
    shop.chat(stream=stream)

    def endpoint():
        path = f"/v1/models/{shop.model}/endpoints"
        answer = shop.gateway.request("GET", path, key=shop.secret)
        return answer.json["data"]["endpoints"][0]

    wait_until(lambda: endpoint()["uptime_last_5m"] == 50.0, seconds=30)
    found = endpoint()
    assert found["uptime_last_1h"] == found["uptime_last_1d"] == 50.0
    assert (found["latency_last_1h_ms"] is not None) == stream
    assert found["throughput_last_1h"] > 0

"""The test run itself: each worker has servers of its own and cannot reach the network."""

import os
import socket

import psycopg
import pytest
import redis

from tests.conftest import NetworkUsed


def test_connecting_to_another_machine_is_refused():
    with socket.socket() as outside, pytest.raises(NetworkUsed):
        outside.connect(("192.0.2.1", 443))


def test_looking_up_a_name_of_another_machine_is_refused():
    with pytest.raises(NetworkUsed):
        socket.getaddrinfo("api.openai.com", 443)


@pytest.mark.django_db(transaction=True)
def test_worker_has_a_database_of_its_own(database_url):
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")

    with psycopg.connect(database_url) as connection:
        row = connection.execute("SELECT current_database()").fetchone()

    assert row == ("_".join(filter(None, ["test_exerati", worker])),)


def test_worker_has_a_redis_database_of_its_own(redis_url):
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0")

    with redis.Redis.from_url(redis_url) as connection:
        assert connection.ping()

    assert redis_url.endswith(f"/{worker.removeprefix('gw')}")

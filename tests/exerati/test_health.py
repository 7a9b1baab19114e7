"""The two addresses that tell a load balancer how a process is."""

import pytest
from django.db import connection


def test_liveness_needs_no_database(client):
    answer = client.get("/healthz")

    assert (answer.status_code, answer.content) == (200, b"ok\n")


@pytest.mark.django_db
def test_ready_when_database_and_redis_answer(client):
    answer = client.get("/readyz")

    assert (answer.status_code, answer.json()) == (200, {"database": True, "redis": True})


@pytest.mark.django_db
def test_not_ready_without_redis(client, settings):
    settings.REDIS_URL = "redis://127.0.0.1:1/0"

    answer = client.get("/readyz")

    assert (answer.status_code, answer.json()) == (503, {"database": True, "redis": False})


@pytest.mark.django_db(transaction=True)
def test_not_ready_without_the_database(client, monkeypatch):
    connection.close()
    with monkeypatch.context() as away:  # over before the next fixture wants the database
        away.setitem(connection.settings_dict, "PORT", "1")

        answer = client.get("/readyz")

    assert (answer.status_code, answer.json()) == (503, {"database": False, "redis": True})

"""What a page asks of the database has an end; what the worker asks has none."""

import pytest
from django.db import OperationalError, connection

from exerati import asgi, statement_limit

pytestmark = pytest.mark.django_db(transaction=True)


def ask(statement):
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchone()[0]


@pytest.fixture
def fresh_connection():
    connection.close()
    yield
    statement_limit.end()
    connection.close()


@pytest.mark.usefixtures("fresh_connection")
def test_statement_of_a_page_is_ended_and_the_connection_goes_on(settings):
    settings.PAGE_STATEMENT_SECONDS = (
        1  # which one that only asks for 1 keeps on a busy machine, too
    )
    statement_limit.begin()

    with pytest.raises(OperationalError, match="statement timeout"):
        ask("SELECT pg_sleep(60)::text")

    assert ask("SELECT 1") == 1


@pytest.mark.usefixtures("fresh_connection")
def test_processes_without_pages_have_no_limit():
    assert ask("SHOW statement_timeout") == "0"


@pytest.mark.anyio
async def test_limit_holds_from_the_start_of_a_process_that_serves_pages(monkeypatch):
    order = []

    class Gateway:
        async def startup(self):
            order.append("gateway")

        async def shutdown(self):
            order.append("end")

    async def receive():
        return {}

    async def send(message):
        order.append(message["type"])

    monkeypatch.setattr(asgi, "gateway", Gateway())
    monkeypatch.setattr(statement_limit, "begin", lambda: order.append("limit"))

    await asgi.application({"type": "lifespan"}, receive, send)

    assert order[:3] == ["limit", "gateway", "lifespan.startup.complete"]

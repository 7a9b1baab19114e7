"""
The upstream fault matrix (R8, E7, E9): whatever a provider breaks, at whatever moment, the customer is told in
OpenAI's envelope, pays by the published policy, and everything that the call held is back.
"""

from collections.abc import Iterator

import pytest

from exerati.lib import ids
from tests import factories, gateway_server
from tests.gateway import books
from tests.gateway.conftest import check_log
from tests.gateway.upstream_faults import matrix, table, verdict
from tests.gateway.upstream_faults.dialects import DIALECTS
from tests.gateway.upstream_faults.stand_in import StandIn
from tests.gateway_server import Gateway

MOST_BYTES = 8 * 2**20
HASTE = {
    "UPSTREAM_CONNECT_SECONDS": 2,
    "UPSTREAM_FIRST_BYTE_SECONDS": 6,
    "UPSTREAM_IDLE_SECONDS": 4,
    "UPSTREAM_LAST_WORD_SECONDS": 2,
    "UPSTREAM_MAX_WHOLE_BYTES": MOST_BYTES,
    "UPSTREAM_MAX_STREAM_BYTES": 4 * MOST_BYTES,
}


@pytest.fixture(scope="module")
def hasty_gateway(gateway_database_url: str, redis_url: str) -> Iterator[Gateway]:
    with gateway_server.running(
        database_url=gateway_database_url, redis_url=redis_url, **HASTE
    ) as process:
        yield process
        check_log(process)


@pytest.fixture(scope="module")
def stand_in() -> Iterator[StandIn]:
    with StandIn() as provider:
        yield provider


@pytest.mark.parametrize("api", DIALECTS)
def test_every_fault_at_every_moment_is_told_billed_and_left_behind(
    committed, hasty_gateway, stand_in, api
):
    organization = factories.make_organization()
    factories.make_credit(organization, usd="1000")
    found = table.cells(api)
    with matrix.addresses(stand_in) as places:
        runs = matrix.prepare(found, organization, places, name=f"fault-{api}")
        hasty_gateway.learn(runs[-1].model, key=runs[-1].key.secret)
        matrix.play(runs, hasty_gateway, stand_in)
    matrix.forget(runs)
    calls = sum(run.answer is not None for run in runs)
    events = books.settled(organization, calls=calls, at_least=True)
    shown = {f"req_{ids.encode(event.request_id)}": event for event in events}

    wrong = [f"{run.cell}: {text}" for run in runs for text in verdict.problems(run, shown)]

    assert not wrong, "\n".join([f"{len(wrong)} wrong", *wrong])


def test_the_page_tells_of_the_cells_as_they_are():
    assert table.PAGE.read_text() == table.page(), (
        "run python -m tests.gateway.upstream_faults.table --write"
    )


def test_there_are_faults_enough():
    faults = {cell.fault for api in DIALECTS for cell in table.cells(api)}

    assert len(faults) >= 22

"""Runs cells against a gateway: a call each, and a second one to see that everything is back."""

import http.client
import json
import socket
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from functools import partial

from django.db import transaction

from accounts.models import Organization
from apikeys.services import CreatedKey
from gateway.models import Model, Provider
from gateway.routes import provider_accounts
from tests import factories
from tests.gateway.upstream_faults import heads, wire
from tests.gateway.upstream_faults.cells import Cell
from tests.gateway.upstream_faults.dialects import WORDS
from tests.gateway.upstream_faults.stand_in import Exchange, StandIn
from tests.gateway_server import Answer, Gateway
from tests.upstream import wait_until

AT_ONCE = 24
CALL_SECONDS = 60
PLACE_SECONDS = 10
TOO_MANY = 429
FIRST_WORD = WORDS[0].encode()


@dataclass(slots=True)
class Run:
    """One cell as it is run: what it has of its own, and what came of it."""

    cell: Cell
    model: str
    provider: Provider
    key: CreatedKey
    answer: Answer | None = None
    hung: str = ""
    exchanges: Sequence[Exchange] = ()
    second: Answer | None = None


@contextmanager
def addresses(stand_in: StandIn) -> Iterator[dict[str, str]]:
    """Yield where a provider's row may point to: the stand-in, and ports at which nobody answers."""
    with ExitStack() as held:
        refused = held.enter_context(socket.socket())
        refused.bind(("127.0.0.1", 0))
        full = held.enter_context(socket.socket())
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(4):  # fills the queue of connections that nobody accepts
            knock = held.enter_context(socket.socket())
            knock.setblocking(False)
            knock.connect_ex(full.getsockname())
        yield {
            "": f"http://127.0.0.1:{stand_in.port}/v1",
            heads.TLS_ADDRESS: f"https://127.0.0.1:{stand_in.port}/v1",
            heads.REFUSED_PORT: f"http://127.0.0.1:{refused.getsockname()[1]}/v1",
            heads.FULL_PORT: f"http://127.0.0.1:{full.getsockname()[1]}/v1",
        }


@transaction.atomic
def prepare(
    found: Sequence[Cell], organization: Organization, places: dict[str, str], *, name: str
) -> list[Run]:
    """
    Store what each cell needs of its own: a provider that takes one call at a time, its model, and a key that may
    have one call open. What is not given back so shows with the second call.
    """
    runs = []
    for number, cell in enumerate(found):
        model = f"{name}-{number}"
        provider = factories.make_provider(
            f"{name}-at-{number}",
            api=cell.dialect.api,
            base_url=places[cell.address],
            max_connections=1,
        )
        provider_accounts.seal(provider, credential=cell.dialect.credential)
        provider.save()
        factories.make_model(model, provider=provider)
        key = factories.make_api_key(organization, concurrency=1)
        runs.append(Run(cell, model, provider, key))
    return runs


def forget(runs: Sequence[Run]) -> None:
    """Take the models and providers out of the catalog again; the books stay."""
    Model.objects.filter(name__in=[run.model for run in runs]).delete()
    Provider.objects.filter(pk__in=[run.provider.pk for run in runs]).delete()


def play(runs: Sequence[Run], gateway: Gateway, stand_in: StandIn) -> None:
    """Make both calls of every cell, many cells at once; those that end by a timeout wait for it together."""
    longest_first = sorted(runs, key=lambda run: run.cell.expected.code != "provider_timeout")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(partial(_play, gateway=gateway, stand_in=stand_in), longest_first))


def _play(run: Run, *, gateway: Gateway, stand_in: StandIn) -> None:
    cell = run.cell
    if cell.play is not None:
        stand_in.plays[run.model] = partial(cell.play, cell)
    try:
        run.answer = _call(run, gateway, stand_in.delivered)
    except OSError as error:
        run.hung = repr(error)
        return
    run.exchanges = stand_in.of(run.model)
    if cell.address:
        return  # nobody there will ever answer
    wait_until(lambda: all(exchange.over.is_set() for exchange in stand_in.of(run.model)))
    stand_in.plays[run.model] = partial(wire.answer, cell)
    run.second = _second(run, gateway, stand_in.delivered)


def _second(run: Run, gateway: Gateway, delivered: set[str]) -> Answer:
    """The key's place is given back behind the answer, so it may take a moment."""
    answers: list[Answer] = []

    def has_place() -> bool:
        answers.append(_call(run, gateway, delivered))
        return answers[-1].status != TOO_MANY

    with suppress(TimeoutError):
        wait_until(has_place, seconds=PLACE_SECONDS)
    return answers[-1]


def _call(run: Run, gateway: Gateway, delivered: set[str]) -> Answer:
    """Return the answer; its model is put into `delivered` as soon as some of its text is there."""
    message = {"role": "user", "content": "Hello"}
    body = {"model": run.model, "messages": [message], "stream": run.cell.stream}
    headers = {"authorization": f"Bearer {run.key.secret}", "content-type": "application/json"}
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=CALL_SECONDS)
    with closing(connection):
        connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
        response = connection.getresponse()
        found = {name.lower(): value for name, value in response.getheaders()}
        read = b""
        while data := response.read1():
            read += data
            if FIRST_WORD in read:
                delivered.add(run.model)
        return Answer(response.status, found, read)

"""What the three sides recorded of each call: the client, the provider and our database; and the story of one."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

from exerati.lib import ids
from tests.faults import customers
from tests.faults.load import Seen
from tests.faults.plan import Happened
from tests.faults.provider import Provider, ProviderCall

Row = Mapping[str, Any]
LOG_ENTRIES = 20
ENTRY = re.compile(r"\n(?=\[?\d{4}-)")


class Records:
    """Everything known after a run; rows of the database by request id, events also by label."""

    def __init__(
        self,
        database_url: str,
        *,
        seen: Mapping[str, Seen],
        provider: Provider,
        faults: Iterable[Happened],
        logs: Path,
    ) -> None:
        self.seen = seen
        self.provider: Mapping[str, list[ProviderCall]] = dict(provider.ledger)
        self.faults = list(faults)
        self._logs = logs
        with psycopg.connect(database_url, autocommit=True, row_factory=dict_row) as connection:
            self.reservations: dict[Any, Row] = {
                row["request_id"]: row
                for row in connection.execute("SELECT * FROM billing_reservation")
            }
            self.events: Sequence[Row] = connection.execute(
                "SELECT * FROM billing_usageevent ORDER BY request_id"
            ).fetchall()
            self.breaches: Sequence[Row] = connection.execute(
                "SELECT * FROM faults_breach"
            ).fetchall()
            self.transfers: dict[str, list[Row]] = defaultdict(list)
            for row in connection.execute("SELECT * FROM billing_ledgertransfer"):
                self.transfers[row["idempotency_key"]].append(row)
            self.true_ups: dict[Any, Row] = {
                row["request_id"]: row for row in connection.execute("SELECT * FROM billing_trueup")
            }
            self.attempts: dict[Any, list[Row]] = defaultdict(list)
            for row in connection.execute("SELECT * FROM billing_attempt ORDER BY number"):
                self.attempts[row["request_id"]].append(row)
        self.by_name: dict[int, str] = {
            customer.key_id: customer.name for customer in {call.customer for call in seen.values()}
        }
        self._base = self._bound_of_call_0()
        self.by_label: dict[str, list[Row]] = defaultdict(list)
        for event in self.events:
            self.by_label[self.label(event)].append(event)

    def label(self, event: Row) -> str:
        """Return which call an event belongs to, "" for a test call whose process died before it could say."""
        if event["client_request_id"] or event["mode"] == "test":
            return str(event["client_request_id"])
        more = _first_bound(event) - self._base.get(event["model"], 0)
        number = more // _step(event["model"])
        return f"{self.by_name[event['key_id']]}:{event['model']}:{number}"

    def _bound_of_call_0(self) -> dict[str, int]:
        """Return what the first call of a key reserves on each model, learned from the events that name theirs."""
        return {
            event["model"]: _first_bound(event)
            - _step(event["model"]) * self.seen[event["client_request_id"]].number
            for event in self.events
            if event["client_request_id"] and event["mode"] == "live"
        }

    def story(self, label: str) -> Iterator[str]:
        """Tell what is known of one call, from all sides, in lines."""
        yield f"client    {self.seen.get(label)}"
        for call in self.provider.get(label, ()):
            yield f"provider  {call.id} {call.model} at {_clock(call.received_at)}, {_told(call)}"
        if label in self.seen:
            yield from self._logged(self.seen[label].request_id.removeprefix("req_"))
        for event in self.by_label.get(label, ()):
            request_id = event["request_id"]
            yield f"event     {_shown(event)}"
            yield f"reserved  {_shown(self.reservations.get(request_id, {}))}"
            for attempt in self.attempts[request_id]:
                yield f"attempt   {_shown(attempt)}"
            for key in (f"request:{request_id}", f"trueup:{request_id}"):
                for transfer in self.transfers[key]:
                    yield f"transfer  {_shown(transfer)}"
            if request_id in self.true_ups:
                yield f"true-up   {_shown(self.true_ups[request_id])}"
            if label not in self.seen or not self.seen[label].request_id:
                yield from self._logged(ids.encode(request_id))
        yield from self._faults_around(label)

    def _faults_around(self, label: str) -> Iterator[str]:
        seen = self.seen.get(label)
        if seen is None:
            return
        for fault in self.faults:
            if fault.began_at < seen.ended_at + 10 and fault.ended_at > seen.started_at - 1:
                yield f"fault     {_clock(fault.began_at)} to {_clock(fault.ended_at)}: {fault.text}"

    def _logged(self, public_id: str) -> Iterator[str]:
        for log in sorted(self._logs.glob("*.log")):
            text = log.read_text(errors="replace")
            for entry in islice(_entries_about(public_id, text), LOG_ENTRIES):
                yield f"log       {log.stem}: {entry}"


def _entries_about(public_id: str, text: str) -> Iterator[str]:
    """Yield the entries of a log that name a request, each with its traceback."""
    if public_id and public_id in text:
        yield from (entry for entry in ENTRY.split(text) if public_id in entry)


def _step(model: str) -> int:
    """How much more each call of a key on a model reserves than the one before (see load._body)."""
    by_prompt = model in (customers.EMBEDDING, customers.UNBOUNDED)
    return customers.INPUT_PRICE if by_prompt else customers.OUTPUT_PRICE


def _first_bound(event: Row) -> int:
    """What was reserved at first; how often it was extended does not matter here."""
    if event["model"] == customers.UNBOUNDED:
        return int(event["upper_nanousd"] % (customers.EXTENSION_TOKENS * customers.OUTPUT_PRICE))
    return int(event["upper_nanousd"])


def _told(call: ProviderCall) -> str:
    state = "finished" if call.finished else "broken off"
    return f"{call.pieces} tokens sent, {state}, reported {call.reported}"


def _clock(moment: float) -> str:
    return f"{datetime.fromtimestamp(moment):%H:%M:%S.%f}"[:-3]  # noqa: DTZ006  for people


def _shown(row: Row) -> str:
    """Return what a row says, without what is empty."""
    return ", ".join(
        f"{name} {f'{value:%H:%M:%S.%f}' if isinstance(value, datetime) else value}"
        for name, value in row.items()
        if value not in (None, "", [], {})
    )

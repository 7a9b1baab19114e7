"""The stand-in as a process of its own, for the time of a `with` block."""

import http.client
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stripe import StripeClient

ROOT = Path(__file__).resolve().parents[2]
API_KEY = "sk_test_stand_in"
END_SECONDS = 10


class FakeStripe:
    """A running stand-in: Stripe's own client for it, and what tests tell it."""

    def __init__(self, url: str) -> None:
        self.url = url

    def client(self, **options: Any) -> StripeClient:
        """Return the official client, as it comes: without retries unless they are asked for."""
        return StripeClient(API_KEY, base_addresses={"api": self.url}, **options)

    def tell(self, command: str, **body: Any) -> Any:
        """Give a command under `/_test/` and return its answer."""
        connection = http.client.HTTPConnection(self.url.removeprefix("http://"), timeout=60)
        try:
            connection.request("POST", f"/_test/{command}", body=json.dumps(body))
            answer = connection.getresponse()
            text = answer.read()
            assert answer.status == 200, text
            return json.loads(text)
        finally:
            connection.close()

    def fault(self, operation: str, kind: str, **options: Any) -> None:
        """Let an operation fail: `POST /v1/invoices*`, and how (see `faults.Fault`)."""
        self.tell("fault", operation=operation, kind=kind, **options)

    def objects(self, kind: str) -> list[dict[str, Any]]:
        """Return the objects of a kind, oldest first."""
        found = self.tell("dump")["objects"].get(kind, {})
        return list(found.values())

    def events(self) -> Sequence[str]:
        """Return the types of all events, oldest first."""
        return [event["type"] for event in self.objects("event")]


@contextmanager
def running(*arguments: str) -> Iterator[FakeStripe]:
    """
    Start a stand-in on a free port, with these arguments, and end it.

    What it answered must have kept to Stripe's document.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.fake_stripe", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        fake = FakeStripe(process.stdout.readline().strip())
        yield fake
        assert fake.tell("dump")["drift"] == []
    finally:
        process.terminate()
        process.wait(END_SECONDS)
        if process.stdout is not None:
            process.stdout.close()

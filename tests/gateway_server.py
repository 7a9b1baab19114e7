"""
Real gateway processes for tests: the command `serve` on a free port of the loopback, ended by process id.

A process lives as long as its test worker, since starting one costs seconds.
"""

import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from exerati.lib import broadcast
from tests.upstream import wait_until

ROOT = Path(__file__).resolve().parent.parent
READY_SECONDS = 120
END_SECONDS = 60

# Quick enough for tests, and slow enough for a busy machine.
SETTINGS: Mapping[str, Any] = {
    "KEEPALIVE_SECONDS": 60,  # so that an error before output comes as a status, also from a slow machine
    "UPSTREAM_IDLE_SECONDS": 4,
    "UPSTREAM_FIRST_BYTE_SECONDS": 6,
    "SLOW_READER_SECONDS": 4,
    "BODY_SECONDS": 3,
    "MAX_BODY_BYTES": 2**20,
    "GATEWAY_PROCESSES": 2,
    "ROUTE_STATS_SECONDS": 0.5,
}


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole HTTP answer; header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The decoded body."""
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, Any]:
        """The error object of the envelope."""
        found: dict[str, Any] = self.json["error"]
        return found


class Gateway:
    """One gateway process."""

    def __init__(self, process: "subprocess.Popen[bytes]", port: int, log: IO[bytes]) -> None:
        self.process = process
        self.port = port
        self._log = log

    @property
    def base_url(self) -> str:
        """What an SDK takes as its base URL."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def log(self) -> str:
        """What the process has written so far."""
        return Path(self._log.name).read_text()

    def request(
        self,
        method: str,
        path: str,
        *,
        key: str = "",
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        seconds: float = 60,
    ) -> Answer:
        """Return the answer to one request; a body that is no bytes is sent as JSON."""
        sent = dict(headers or {})
        if key:
            sent["authorization"] = f"Bearer {key}"
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            sent.setdefault("content-type", "application/json")
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=seconds)
        try:
            connection.request(method, path, body=body, headers=sent)
            response = connection.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, found, response.read())
        finally:
            connection.close()

    def chat(self, key: str, *, model: str, text: str = "Hello", **fields: Any) -> Answer:
        """Return the answer to one chat call; a stream is read to its end."""
        body = {"model": model, "messages": [{"role": "user", "content": text}], **fields}
        return self.request("POST", "/v1/chat/completions", key=key, body=body)

    def learn(self, model: str, *, key: str) -> None:
        """Return once the process knows a model that has just been stored."""
        broadcast.publish(broadcast.CATALOG_CHANGED, "")
        wait_until(lambda: self.request("GET", f"/v1/models/{model}", key=key).status == 200)

    def kill(self) -> None:
        """End it as a power cut would."""
        self.process.kill()
        self.process.wait(END_SECONDS)

    def end(self) -> int:
        """End it as a deployment does; return its exit code."""
        self.process.terminate()
        return self.process.wait(END_SECONDS)


@contextmanager
def running(*, database_url: str, redis_url: str, **settings: Any) -> Iterator[Gateway]:
    """Run a gateway process with these settings over SETTINGS, ready for calls."""
    with tempfile.NamedTemporaryFile() as log:
        with socket.socket() as listener:  # bound here, so that the port is known and nobody else's
            listener.bind(("127.0.0.1", 0))
            listener.listen(1024)
            port = listener.getsockname()[1]
            process = subprocess.Popen(
                [sys.executable, "-m", "django", "serve", "--fd", str(listener.fileno())],
                cwd=ROOT,
                env=_environment(database_url, redis_url, settings),
                pass_fds=(listener.fileno(),),
                stdout=log,
                stderr=log,
            )
        gateway = Gateway(process, port, log)
        try:
            _wait_until_ready(gateway)
            yield gateway
        finally:
            if process.poll() is None:
                process.kill()
            process.wait(END_SECONDS)


def _environment(database_url: str, redis_url: str, settings: Mapping[str, Any]) -> dict[str, str]:
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.server_settings",
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "EXERATI_DRAIN_SECONDS": "3",
        "EXERATI_TEST_STARTER": str(os.getpid()),
        "EXERATI_TEST_SETTINGS": json.dumps({**SETTINGS, "REDIS_URL": redis_url, **settings}),
    }


def _wait_until_ready(gateway: Gateway) -> None:
    try:
        answer = gateway.request("GET", "/v1/models", seconds=READY_SECONDS)
    except OSError as error:
        raise RuntimeError(f"the gateway did not start:\n{gateway.log}") from error
    if answer.status != 401:
        raise RuntimeError(f"the gateway answered {answer.status}:\n{gateway.log}")

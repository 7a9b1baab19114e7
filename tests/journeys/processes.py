"""Real server processes for the journeys: `manage.py serve` on a port of its own, ended with the test."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
READY_SECONDS = 60.0


class Server:
    """One process that answers the site and `/v1`."""

    def __init__(self, environment: Mapping[str, str], *, log: Path) -> None:
        self.log = log
        with (
            socket.create_server(("127.0.0.1", 0), backlog=2048) as listener,
            log.open("ab") as output,
        ):
            self.port: int = listener.getsockname()[1]
            self.site_url = f"http://127.0.0.1:{self.port}"
            self.base_url = f"{self.site_url}/v1"
            # The socket is the process's alone once it runs, so that a killed one refuses connections.
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "serve", "--fd", str(listener.fileno())],
                cwd=ROOT,
                env={**os.environ, "SITE_URL": self.site_url, **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=[listener.fileno()],
            )

    def wait_until_ready(self) -> None:
        """Return when it answers /readyz; fails with the end of its log when it does not."""
        deadline = time.monotonic() + READY_SECONDS
        while not self._ready():
            running = self.process.poll() is None and time.monotonic() < deadline
            assert running, self.log.read_text()[-3000:]
            time.sleep(0.05)

    def kill(self) -> float:
        """End it with SIGKILL and return the monotonic time of the deed."""
        self.process.kill()
        self.process.wait()
        return time.monotonic()

    def terminate(self) -> None:
        """Ask it to drain and end; does not wait."""
        self.process.send_signal(signal.SIGTERM)

    def end(self) -> None:
        """End it, politely at first."""
        if self.process.poll() is None:
            self.terminate()
            try:
                self.process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self.kill()

    def _ready(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

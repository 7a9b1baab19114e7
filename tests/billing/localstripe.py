"""
An independent signer of webhooks: localstripe as a process of its own, in an environment of its own.

`.venv/bin/python -m tests.billing.localstripe` installs it below `.exerati/`. It is under the GPL, so nothing of it is
imported or copied: it is started, told where to send events, and heard.
"""

import json
import os
import subprocess
import sys
import urllib.request
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

VERSION = "1.15.10"
HOME = Path(__file__).resolve().parents[2] / ".exerati" / "localstripe"
COMMAND = HOME / "bin" / "localstripe"
END_SECONDS = 30


class Signer:
    """A running localstripe and what it has logged."""

    def __init__(self, url: str, log: Path) -> None:
        self.url, self._log = url, log

    def tell(self, name: str, *, url: str, secret: str) -> None:
        """Have every event sent to an address from now on, signed with this secret."""
        self._post(f"/_config/webhooks/{name}", {"url": url, "secret": secret})

    def make_customer(self) -> str:
        """Let something happen that it tells of; return the id of what it is about."""
        return str(self._post("/v1/customers", {"email": "payer@acme.example"})["id"])

    @property
    def log(self) -> str:
        """Return what it has written: how each of its webhooks was answered."""
        return self._log.read_text()

    def _post(self, path: str, values: dict[str, str]) -> dict[str, object]:
        request = urllib.request.Request(  # noqa: S310  the loopback
            self.url + path,
            data=json.dumps(values).encode(),
            headers={"authorization": "Bearer sk_test_1", "content-type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            found: dict[str, object] = json.loads(answer.read() or b"{}")
        return found


@contextmanager
def running(folder: Path, *, port: int) -> Iterator[Signer]:
    """Run it on a port of the loopback; the caller waits until it answers."""
    log = folder / "localstripe.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [str(COMMAND), "--from-scratch", "--port", str(port)],
            cwd=folder,
            env={**os.environ, "TMPDIR": str(folder), "PYTHONUNBUFFERED": "1"},
            stdout=output,
            stderr=output,
        )
        try:
            yield Signer(f"http://127.0.0.1:{port}", log)
        finally:
            process.terminate()
            process.wait(END_SECONDS)


def install() -> None:
    """Make the environment and install the package."""
    venv.create(HOME, with_pip=True)
    python = str(HOME / "bin" / "python")
    subprocess.run([python, "-m", "pip", "install", "-q", f"localstripe=={VERSION}"], check=True)


if __name__ == "__main__":
    install()
    sys.stdout.write(f"{COMMAND} is there.\n")

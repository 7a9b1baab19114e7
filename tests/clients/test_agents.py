"""Coding agents without a screen against a running gateway: one question, an answer, and its usage events."""

import subprocess

import pytest
from django.db.models import Sum

from billing.models import UsageEvent
from tests.clients import environments
from tests.clients.test_clients import KEPT_VARIABLES, metered
from tests.upstream import wait_until

RUN_SECONDS = 240
ANSWER = "Hello world"
QUESTION = "Say hello."
# Claude Code's own install script would put its program into .bin.
PROGRAMS = {"codex": ".bin/codex", "claude": "@anthropic-ai/claude-code-*/claude"}
CODEX = """
model = "{model}"
model_provider = "exerati"

[model_providers.exerati]
name = "Exerati"
base_url = "{base_url}"
env_key = "EXERATI_KEY"
wire_api = "responses"
"""

pytestmark = pytest.mark.clients


@pytest.fixture
def home(tmp_path):
    """A home of the agent's own, with a folder to work in."""
    if not environments.is_installed("agents"):
        pytest.skip(environments.not_installed("agents"))
    (tmp_path / "work").mkdir()
    return tmp_path


def play(stage, home, command, **variables):
    """Run an agent to its end; return what it printed."""
    everything = environments.node_environment()
    kept = {name: everything[name] for name in KEPT_VARIABLES if name in everything}
    [program] = (environments.FOLDER / "agents" / "node_modules").glob(PROGRAMS[command[0]])
    done = subprocess.run(
        [str(program), *command[1:]],
        cwd=home / "work",
        env={**kept, "HOME": str(home), **stage.variables, **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout


def check_usage(stage):
    """Assert that our usage events are what the provider answered, and that there are some."""
    wait_until(lambda: metered(stage) == stage.upstream.ledger)
    assert metered(stage)[0] >= 1
    charged = UsageEvent.objects.filter(organization=stage.organization).aggregate(
        total=Sum("charge_nanousd")
    )
    assert charged["total"] > 0


def test_codex_answers_and_is_metered(stage, home):
    (home / ".codex").mkdir()
    settings = CODEX.format(model=stage.variables["EXERATI_MODEL"], base_url=stage.gateway.base_url)
    (home / ".codex" / "config.toml").write_text(settings)

    said = play(stage, home, ["codex", "exec", "--skip-git-repo-check", QUESTION])

    assert ANSWER in said
    check_usage(stage)


def test_claude_code_answers_and_is_metered(stage, home):
    said = play(
        stage,
        home,
        ["claude", "-p", QUESTION, "--model", stage.variables["EXERATI_MODEL"]],
        ANTHROPIC_BASE_URL=stage.gateway.base_url.removesuffix("/v1"),
        ANTHROPIC_AUTH_TOKEN=stage.variables["EXERATI_KEY"],
        ANTHROPIC_SMALL_FAST_MODEL=stage.variables["EXERATI_MODEL"],
        CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC="1",
    )

    assert ANSWER in said
    check_usage(stage)

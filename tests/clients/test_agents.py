"""Coding agents without a screen against a running gateway: one question, an answer, and its usage events."""

import json
import os
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
# Where each agent's program lies. The install scripts of some, which stay off, would put it into .bin.
PROGRAMS = {
    "codex": ("agents", "node_modules/.bin/codex"),
    "claude": ("agents", "node_modules/@anthropic-ai/claude-code-*/claude"),
    "opencode": ("opencode", "node_modules/opencode-linux-*/bin/opencode"),
    "qwen": ("qwen-code", "node_modules/.bin/qwen"),
    "aider": ("aider", "bin/aider"),
}
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
    (tmp_path / "work").mkdir()
    return tmp_path


def play(stage, home, command, **variables):
    """Run an agent to its end; return what it printed. Skips the test where it is not installed."""
    environment, place = PROGRAMS[command[0]]
    if not environments.is_installed(environment):
        pytest.skip(environments.not_installed(environment))
    everything = environments.node_environment() if "node" in place else os.environ
    kept = {name: everything[name] for name in KEPT_VARIABLES if name in everything}
    program = next((environments.FOLDER / environment).glob(place))
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


OPENCODE = {
    "$schema": "https://opencode.ai/config.json",
    "autoupdate": False,
    "share": "disabled",
}


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


def test_opencode_answers_and_is_metered(stage, home):
    model = stage.variables["EXERATI_MODEL"]
    provider = {
        "npm": "@ai-sdk/openai-compatible",
        "name": "Exerati",
        "options": {"baseURL": stage.gateway.base_url, "apiKey": stage.variables["EXERATI_KEY"]},
        "models": {model: {"name": model}},
    }
    settings = {**OPENCODE, "provider": {"exerati": provider}, "small_model": f"exerati/{model}"}
    (home / "work" / "opencode.json").write_text(json.dumps(settings))

    said = play(
        stage,
        home,
        ["opencode", "run", "--model", f"exerati/{model}", QUESTION],
        OPENCODE_DISABLE_AUTOUPDATE="1",
        OPENCODE_DISABLE_MODELS_FETCH="1",
        OPENCODE_DISABLE_LSP_DOWNLOAD="1",
    )

    assert ANSWER in said
    check_usage(stage)


def test_qwen_code_answers_and_is_metered(stage, home):
    said = play(
        stage,
        home,
        ["qwen", "--auth-type", "openai", "-p", QUESTION],
        OPENAI_BASE_URL=stage.gateway.base_url,
        OPENAI_API_KEY=stage.variables["EXERATI_KEY"],
        OPENAI_MODEL=stage.variables["EXERATI_MODEL"],
    )

    assert ANSWER in said
    check_usage(stage)


def test_aider_answers_and_is_metered(stage, home):
    model = stage.variables["EXERATI_MODEL"]
    quiet = ["--no-git", "--no-check-update", "--no-show-model-warnings", "--analytics-disable"]
    plain = ["--no-pretty", "--yes-always", "--no-show-release-notes", "--map-tokens", "0"]

    said = play(
        stage,
        home,
        ["aider", "--model", f"openai/{model}", *quiet, *plain, "--message", QUESTION],
        OPENAI_API_BASE=stage.gateway.base_url,
        OPENAI_API_KEY=stage.variables["EXERATI_KEY"],
        LITELLM_LOCAL_MODEL_COST_MAP="True",  # else it asks GitHub for prices
    )

    assert ANSWER in said
    check_usage(stage)

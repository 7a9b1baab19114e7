"""
Schemathesis, a stranger to our code, reads the description that a running gateway serves and tries every operation.

It has an environment of its own (`python -m tests.clients install schemathesis`) and is skipped without. With a key,
with a wrong one and with none: no answer is a 5xx but a documented 501 or 503, and none is outside of our envelope or
other than described. `EXERATI_SCHEMATHESIS` is how many examples each operation gets at most.
"""

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.clients import environments
from tests.gateway import books
from tests.gateway.media_shop import sell
from tests.gateway.test_fuzz import KINDS
from tests.gateway.test_one_path import RATES

ENVIRONMENT = "schemathesis"
HOOKS = Path(environments.HERE) / "scenarios" / "schemathesis_hooks.py"
EXAMPLES = int(os.environ.get("EXERATI_SCHEMATHESIS", "3"))
SEED = os.environ.get("EXERATI_FUZZ_SEED", "1")
SECONDS = 3_600
# Not its own `not_a_server_error`: OpenAI's routes that we lack are 501, which `in_our_envelope` knows.
CHECKS = (
    *("status_code_conformance", "content_type_conformance", "response_headers_conformance"),
    *("response_schema_conformance", "allow_header_conformance", "ignored_auth", "in_our_envelope"),
)
# An ordinary call is enough in the suite; the full form also goes through every edge of every schema.
PHASES = "examples,coverage,fuzzing" if "EXERATI_SCHEMATHESIS" in os.environ else "examples,fuzzing"

pytestmark = pytest.mark.clients


@pytest.fixture
def models(shop) -> Mapping[str, str]:
    """A model that is served for each address, the longest addresses first."""
    found = {path: sell(shop, kind, **RATES[kind]) for path, kind in KINDS.items()}
    found["/"] = shop.model
    return found


@pytest.mark.parametrize("credential", ["a key", "a wrong key", "no key"])
def test_no_operation_fails_or_answers_otherwise_than_described(shop, models, tmp_path, credential):
    if not environments.is_installed(ENVIRONMENT):
        pytest.skip(environments.not_installed(ENVIRONMENT))
    wrong = shop.secret[:-1] + ("a" if shop.secret[-1] != "a" else "b")
    key = {"a key": shop.secret, "a wrong key": wrong, "no key": ""}[credential]

    done = subprocess.run(
        [*command(shop.gateway.base_url), *(["-H", f"Authorization: Bearer {key}"] if key else ())],
        cwd=tmp_path,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "SCHEMATHESIS_HOOKS": str(HOOKS),
            "EXERATI_MODELS": json.dumps(models),
        },
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )

    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2_000:]
    if credential == "a key":
        books.settled(shop.organization, at_least=True)
    else:
        assert not shop.upstream.calls


def command(base_url: str) -> list[str]:
    """Return the command that tries every operation."""
    program = environments.python_of(ENVIRONMENT).parent / "schemathesis"
    options = {
        "--checks": ",".join(CHECKS),
        "--phases": PHASES,
        "--max-examples": str(EXAMPLES),
        "--seed": SEED,
        "--request-timeout": "120",
        "--suppress-health-check": "all",
        "--generation-database": "none",
    }
    pairs = [part for pair in options.items() for part in pair]
    return [str(program), "--no-color", "run", f"{base_url}/openapi.json", *pairs]

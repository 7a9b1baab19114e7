"""A copy of this checkout in a folder of its own, for tests that run `up` in it as a stranger would."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_LEFT_OUT = shutil.ignore_patterns(
    ".git",
    ".venv",
    ".exerati",
    ".*_cache",
    ".hypothesis",
    "benchmarks",
    "staticfiles",
)


def _not_copied(folder: str, names: list[str]) -> set[str]:
    """Return what stays behind; of the tests only the stand-in for Stripe comes along."""
    left_out = set(_LEFT_OUT(folder, names))
    if Path(folder) == ROOT / "tests":
        left_out |= set(names) - {"fake_stripe"}
    return left_out


# What the test run itself has set, and a stranger has not.
OURS = (
    "DATABASE_URL",
    "REDIS_URL",
    "EXERATI_ENV_FILES",
    "DJANGO_SETTINGS_MODULE",
    "PYTEST_XDIST_WORKER",
    "SITE_URL",
)


class Checkout:
    """A copy of this checkout that shares its environment, and the commands run in it."""

    def __init__(self, folder):
        self.folder = folder
        self.environment = {name: value for name, value in os.environ.items() if name not in OURS}

    def start(self, *arguments):
        return subprocess.Popen(
            [sys.executable, "manage.py", *arguments],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *arguments):
        process = self.start(*arguments)
        printed = process.communicate(timeout=600)[0]
        return process.returncode, printed

    def up(self, *arguments):
        code, printed = self.run("up", "--detach", *arguments)
        assert code == 0, printed
        return printed

    def record(self):
        return json.loads((self.folder / ".exerati" / "run.json").read_text())

    def pids(self):
        record = self.record()
        return [
            record["supervisor"]["pid"],
            *(process["pid"] for process in record["services"].values()),
        ]

    def status(self):
        code, printed = self.run("status", "--json")
        return code, json.loads(printed)


@contextmanager
def copied() -> Iterator[Checkout]:
    """Yield a copy of the checkout; whatever runs in it is stopped, and the folder removed."""
    folder = Path(tempfile.mkdtemp(prefix="exerati-checkout-"))
    folder.chmod(0o755)
    shutil.copytree(ROOT, folder, ignore=_not_copied, dirs_exist_ok=True)
    (folder / ".venv").symlink_to(sys.prefix)
    copy = Checkout(folder)
    try:
        yield copy
    finally:
        copy.run("down")
        shutil.rmtree(folder)

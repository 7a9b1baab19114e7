"""Runs every check that needs no database: format, lint, types, import contracts, templates, migrations, deployment."""

import os
import secrets
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.core.management.base import BaseCommand

from exerati.servers.local_state import ROOT, SECRETS

# Port 1 has no server, so that a check which wants a database after all says so.
NO_SERVERS = {
    "EXERATI_ENV_FILES": "",
    "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
    "REDIS_URL": "redis://127.0.0.1:1/0",
}
# makemigrations compares with the database where it finds one; the tests do that on theirs.
NO_DATABASE_WARNING = "ignore:Got an error checking a consistent migration history:RuntimeWarning"

# import-linter has no module of its own to run, and its script breaks when the checkout moves.
LINT_IMPORTS = "from importlinter.cli import lint_imports_command as run; run()"


@dataclass(frozen=True, slots=True)
class Check:
    """One tool and what it needs besides the common environment."""

    name: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)


def production() -> dict[str, str]:
    """Return what a deployment has to set, made up for this check."""
    return {
        "DJANGO_SETTINGS_MODULE": "exerati.settings.production",
        "SITE_URL": "https://exerati.example",
        "EXERATI_ALLOWED_HOSTS": "exerati.example",
        **{name: secrets.token_urlsafe(48) for name in SECRETS},
    }


def checks() -> list[Check]:
    """Return all checks, the quick ones first."""
    manage = ("-W", NO_DATABASE_WARNING, "manage.py")
    return [
        Check("format", ("-m", "ruff", "format", "--check", "--quiet", ".")),
        Check("lint", ("-m", "ruff", "check", "--quiet", ".")),
        Check("imports", ("-c", LINT_IMPORTS, "--no-cache")),
        Check("templates", ("-m", "djlint", "--lint", "--quiet", "templates")),
        Check("migrations", (*manage, "makemigrations", "--check", "--dry-run")),
        Check(
            "deployment", (*manage, "check", "--deploy", "--fail-level", "WARNING"), production()
        ),
        Check("types", ("-m", "mypy", "--no-error-summary", ".")),
    ]


class Command(BaseCommand):
    """`manage.py check_all`: goes on after a failure, and leaves with 1 if there was one."""

    help = __doc__
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        """Run each check, print its time, and what it said if it failed."""
        failed = [check.name for check in checks() if not self._passes(check)]
        if failed:
            self.stdout.write(f"Failed: {', '.join(failed)}.")
            sys.exit(1)
        self.stdout.write("All checks passed.")

    def _passes(self, check: Check) -> bool:
        self.stdout.write(f"{check.name:20}", ending="")
        self.stdout.flush()
        started = time.monotonic()
        done = subprocess.run(
            [sys.executable, *check.arguments],
            cwd=ROOT,
            env={**os.environ, **NO_SERVERS, **check.environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        passed = done.returncode == 0
        self.stdout.write(f"{'ok' if passed else 'FAILED':8}{time.monotonic() - started:5.1f} s")
        if not passed:
            self.stdout.write(done.stdout)
        return passed

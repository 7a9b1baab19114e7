"""Knows the lanes of the test suite: the default, Debian's servers, and the next Django on a newer Python."""

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from exerati import bootstrap
from exerati.servers.engines import EngineError, Engines

NAMES = ("default", "debian", "django61")
DEBIAN_POSTGRES = Path("/usr/lib/postgresql/15/bin")
DJANGO61_LOCKS = ["requirements-dev.lock", bootstrap.STRIPE_LOCK, "requirements-django61.lock"]
DJANGO61_PYTHON = (3, 12)
# What the LTS still needs may already be on its way out in a later Django; everything else stays an error.
DJANGO61_PYTEST = ("-W", "ignore::django.utils.deprecation.RemovedInDjango2028Warning")


@dataclass(frozen=True, slots=True)
class Lane:
    """What a lane runs: a Python, the servers' binaries (None: those of the packages), pytest's further arguments."""

    python: str
    engines: Engines | None = None
    pytest: tuple[str, ...] = ()


def choose(name: str, *, python: str) -> Lane:
    """Return the lane `name`, making its environment if need be. Raises EngineError if the machine lacks a part."""
    if name == "debian":
        return Lane(python=sys.executable, engines=debian_engines())
    if name == "django61":
        return Lane(python=django61_python(python), pytest=DJANGO61_PYTEST)
    return Lane(python=sys.executable)


def debian_engines() -> Engines:
    """Return Debian's PostgreSQL 15 and redis-server."""
    redis = shutil.which("redis-server")
    if redis is None or not (DEBIAN_POSTGRES / "postgres").exists():
        raise EngineError(
            "The lane debian needs Debian's servers: run `apt-get install postgresql-15 redis-server` as root."
        )
    return Engines(postgres_bin=DEBIAN_POSTGRES, valkey=Path(redis))


def django61_python(python: str) -> str:
    """Return the Python of an environment with Django 6.1, made with `python` or the newest one on PATH."""
    python = python or bootstrap.newer_python(DJANGO61_PYTHON) or ""
    if not python:
        raise EngineError(
            "The lane django61 needs Python 3.12 or newer: install one, or name it with --python."
        )
    venv = bootstrap.ROOT / ".exerati" / "venv-django61"
    try:
        bootstrap.make_environment(venv, DJANGO61_LOCKS, python)
    except bootstrap.SetupError as error:
        raise EngineError(str(error)) from error
    return str(bootstrap.python_of(venv))

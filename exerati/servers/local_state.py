"""
Owns the files in `.exerati/`: the addresses and secrets of this checkout, its demo login, its running processes.

Standard library only, since it is used before Django's settings can be read. Everything secret is
readable by its owner alone, and each file is written whole or not at all.
"""

import fcntl
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from exerati.servers.processes import Process

ROOT = Path(__file__).resolve().parents[2]
STATE_DIR = ROOT / ".exerati"
LOCAL_ENV = STATE_DIR / "local.env"
DEMO = STATE_DIR / "demo.json"
LOGS = STATE_DIR / "logs"
_RUN = STATE_DIR / "run.json"
_LOCK = STATE_DIR / "up.lock"

SECRETS = ("EXERATI_SECRET_KEY", "EXERATI_KEY_PEPPER", "EXERATI_FIELD_KEY")


class AlreadyRunning(Exception):
    """Another `up` of this checkout is at work."""


@dataclass(frozen=True, slots=True)
class Run:
    """What a running `up` has started, and whether it answers yet."""

    site_url: str
    ready: bool
    supervisor: Process
    services: Mapping[str, Process]


def write_secret(path: Path, text: str) -> Path:
    """Write `text` for the owner alone to read, whole or not at all."""
    half_made = path.with_name(path.name + ".half-made")
    half_made.unlink(missing_ok=True)
    with os.fdopen(os.open(half_made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    return half_made.rename(path)


def make_folders() -> None:
    """Make `.exerati/` and its folder of logs; others may pass through, to the servers' data, but not look around."""
    STATE_DIR.mkdir(exist_ok=True)
    STATE_DIR.chmod(0o711)
    LOGS.mkdir(mode=0o700, exist_ok=True)


def read_env(path: Path) -> dict[str, str]:
    """Return the `NAME=value` lines of a file that `write_local_env` wrote; empty if there is none."""
    if not path.exists():
        return {}
    lines = [
        line.partition("=")
        for line in path.read_text().splitlines()
        if "=" in line and line[0] != "#"
    ]
    return {name: value for name, _, value in lines}


def write_local_env(values: Mapping[str, str]) -> None:
    """Write `values` to `local.env` with this checkout's secrets, which are made once and then kept."""
    before = read_env(LOCAL_ENV)
    kept = {name: before.get(name) or secrets.token_urlsafe(48) for name in SECRETS}
    text = "# Written by `manage.py up`; put your own values into .env, which wins.\n"
    write_secret(
        LOCAL_ENV, text + "".join(f"{name}={value}\n" for name, value in {**values, **kept}.items())
    )


@contextmanager
def only_run() -> Iterator[None]:
    """Hold the lock of a running `up`; the system frees it if we are killed. Raises AlreadyRunning."""
    with _LOCK.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise AlreadyRunning from error
        yield


def write_run(run: Run) -> None:
    """Record what runs, for `status`, `down` and the next `up`."""
    write_secret(_RUN, json.dumps(asdict(run), indent=2))


def read_run() -> Run | None:
    """Return what the last `up` recorded; None after a clean end. Its processes may be gone by now."""
    try:
        values = json.loads(_RUN.read_text())
    except FileNotFoundError:
        return None
    return Run(
        site_url=values["site_url"],
        ready=values["ready"],
        supervisor=Process(**values["supervisor"]),
        services={name: Process(**process) for name, process in values["services"].items()},
    )


def forget_run() -> None:
    """Remove the record: nothing of it runs any more."""
    _RUN.unlink(missing_ok=True)

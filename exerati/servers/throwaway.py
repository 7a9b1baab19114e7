"""
Owns the servers of a test run: made in a temporary folder, gone when the run ends.

A run that was killed cannot clean up after itself; the next run does so, knowing the owner of each
folder by process id and start time.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from exerati.servers import embedded
from exerati.servers.engines import SYSTEM_HOME, Engines, account, reachable
from exerati.servers.processes import Process, identify

PREFIX = "exerati-test-"
SERVERS = ("postgres", "valkey")


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where a test run finds its servers."""

    database_url: str
    redis_url: str


@contextmanager
def servers(*, database_url: str, redis_url: str, engines: Engines | None) -> Iterator[Addresses]:
    """Yield the given addresses, with a throw-away server in the place of each empty one. Raises EngineError."""
    if database_url and redis_url:
        yield Addresses(database_url=database_url, redis_url=redis_url)
        return
    remove_abandoned(parent())
    home = make_home(parent())
    try:
        yield Addresses(
            database_url=database_url
            or embedded.start_postgres(home, durable=False, engines=engines).database_url,
            redis_url=redis_url
            or embedded.start_valkey(home, durable=False, engines=engines).redis_url,
        )
    finally:
        remove_home(home)


def parent() -> Path:
    """Return the folder for temporary servers, one that the user who runs them can reach."""
    preferred = Path(tempfile.gettempdir())
    if account() is None or reachable(preferred):
        return preferred
    SYSTEM_HOME.mkdir(mode=0o711, parents=True, exist_ok=True)
    return SYSTEM_HOME


def make_home(folder: Path) -> Path:
    """Make a home for servers in `folder` that says whose it is."""
    home = Path(tempfile.mkdtemp(prefix=PREFIX, dir=folder))
    home.chmod(0o711)
    (home / "owner.json").write_text(json.dumps(asdict(identify(os.getpid()))))
    return home


def remove_home(home: Path) -> None:
    """Stop the servers of `home` and remove it."""
    for name in SERVERS:
        embedded.stop_server(home, name=name)
    shutil.rmtree(home, ignore_errors=True)


def remove_abandoned(folder: Path) -> None:
    """Remove each home in `folder` whose owner is gone, with the servers that still run there."""
    for home in folder.glob(f"{PREFIX}*"):
        # Another user's home is neither ours to read nor to remove.
        with suppress(FileNotFoundError):  # removed by its own run at this moment
            if home.stat().st_uid == os.geteuid() and not _owner_lives(home):
                remove_home(home)


def _owner_lives(home: Path) -> bool:
    try:
        return Process(**json.loads((home / "owner.json").read_text())).alive
    except FileNotFoundError:
        return True  # being made, or being removed, at this moment

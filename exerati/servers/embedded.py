"""
Starts and stops an embedded PostgreSQL and Valkey, on loopback, with passwords.

Standard library only. A home folder holds for each server its record `<name>.json` (process, port,
password), its log `<name>.log` and the folder `<name>` with the data, the only part that belongs to
the user who runs the servers.
"""

import json
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from exerati.servers.engines import (
    EngineError,
    Engines,
    give,
    own_folder,
    packaged_engines,
    postgres_version,
    readable_engines,
    run,
    spawn,
)
from exerati.servers.local_state import write_secret
from exerati.servers.processes import Process, arguments, identify, stop

USER = "exerati"
START_SECONDS = 60.0
PORT_ATTEMPTS = 5
VALKEY_DATABASES = 64
# The servers this process has started: the system wants to be asked how each child ended.
_children: dict[int, subprocess.Popen[bytes]] = {}

COMMON = {
    "jit": "off",
    "timezone": "UTC",
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "log_checkpoints": "off",
}
DURABLE = {"max_connections": "200"}
# Throw-away servers: a crash may lose everything, so nothing waits for the disk.
THROW_AWAY = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_connections": "300",
}


@dataclass(frozen=True, slots=True)
class Server:
    """A server as its record keeps it, running or not."""

    pid: int
    started: str
    port: int
    password: str

    @property
    def process(self) -> Process:
        """The server's process."""
        return Process(pid=self.pid, started=self.started)

    @property
    def database_url(self) -> str:
        """The address of the database `exerati`, if this is a PostgreSQL."""
        return f"postgresql://{USER}:{self.password}@127.0.0.1:{self.port}/{USER}"

    @property
    def redis_url(self) -> str:
        """The address of database 0, if this is a Valkey or Redis."""
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"


def start_postgres(home: Path, *, durable: bool, engines: Engines | None = None) -> Server:
    """
    Start PostgreSQL in `home` (made on first use) and return it once it takes connections.

    Ends a server that a killed run left there. Keeps the password and, if it is free, the port of
    the last time. Raises EngineError.
    """
    engines = readable_engines(engines or packaged_engines(), home=home)
    stop_server(home, name="postgres")
    folder = own_folder(home / "postgres")
    last = recorded(home, name="postgres")
    # The mark stays until the database is there, so that a run killed in between begins anew.
    half_made = home / "postgres.half-made"
    if last is None or half_made.exists() or not (folder / "data" / "PG_VERSION").exists():
        half_made.touch()
        last = Server(pid=0, started="never", port=0, password=secrets.token_hex(16))
        _initdb(engines, folder=folder, password=last.password, durable=durable)
    server = _start(
        home,
        name="postgres",
        last=last,
        command=_postgres_command(engines, folder, durable=durable),
    )
    if half_made.exists():
        _create_database(engines, folder=folder, server=server)
        half_made.unlink()
    return server


def _initdb(engines: Engines, *, folder: Path, password: str, durable: bool) -> None:
    shutil.rmtree(folder / "data", ignore_errors=True)
    builtin = postgres_version(engines) >= 17
    locale = (
        ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
        if builtin
        else ["--locale=C.UTF-8"]
    )
    secret = give(write_secret(folder / "initdb-password", password))
    command = [
        str(engines.postgres_bin / "initdb"),
        "-D",
        str(folder / "data"),
        "-U",
        USER,
        "-E",
        "UTF8",
        *locale,
    ]
    command += ["--auth=scram-sha-256", f"--pwfile={secret}", *([] if durable else ["--no-sync"])]
    try:
        run(command, folder=folder)
    finally:
        secret.unlink()


def _create_database(engines: Engines, *, folder: Path, server: Server) -> None:
    command = [
        str(engines.postgres_bin / "createdb"),
        "-h",
        "127.0.0.1",
        "-p",
        str(server.port),
        "-U",
        USER,
        USER,
    ]
    run(command, folder=folder, environment={"PGPASSWORD": server.password})


def start_valkey(home: Path, *, durable: bool, engines: Engines | None = None) -> Server:
    """Start Valkey (or Redis) in `home`, in the same way as `start_postgres`. Raises EngineError."""
    engines = readable_engines(engines or packaged_engines(), home=home)
    stop_server(home, name="valkey")
    folder = own_folder(home / "valkey")
    last = recorded(home, name="valkey") or Server(
        pid=0, started="never", port=0, password=secrets.token_hex(16)
    )
    return _start(
        home, name="valkey", last=last, command=_valkey_command(engines, folder, durable=durable)
    )


# PostgreSQL: SIGINT is its fast shutdown, SIGTERM would wait for clients. Valkey takes both alike.
STOP_SIGNALS = ((signal.SIGINT, 20.0), (signal.SIGQUIT, 5.0))


def stop_server(home: Path, *, name: str) -> None:
    """Stop the server `name` of `home`, whoever started it; do nothing if it does not run."""
    server = recorded(home, name=name)
    if server is not None:
        _end(server.process)
    _clear_pid_file(home / name / "data")


def _clear_pid_file(data: Path) -> None:
    """
    Remove the pid file that a killed PostgreSQL left in `data`, and stop a server of which we have no record.

    A stranger may have the id by now; PostgreSQL would take it for another server on the folder and not start.
    """
    pid_file = data / "postmaster.pid"
    if pid_file.exists():
        pid = int(pid_file.read_text().split("\n", 1)[0] or 0)
        if str(data) in arguments(pid).split():
            _end(identify(pid))
        pid_file.unlink(missing_ok=True)


def _end(process: Process) -> None:
    stop(process, signals=STOP_SIGNALS)
    if child := _children.pop(process.pid, None):
        child.wait()


def recorded(home: Path, *, name: str) -> Server | None:
    """Return the server recorded as `name` in `home`, running or not, or None."""
    try:
        return Server(**json.loads((home / f"{name}.json").read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None


# --- how each server is called, and how it shows that it is ready


@dataclass(frozen=True, slots=True)
class _Command:
    arguments: Callable[[Server], list[str]]
    stdin: Callable[[Server], str]
    is_ready: Callable[[Server], bool]


def _postgres_command(engines: Engines, folder: Path, *, durable: bool) -> _Command:
    data = folder / "data"

    def arguments(server: Server) -> list[str]:
        settings = COMMON | (DURABLE if durable else THROW_AWAY) | {"port": str(server.port)}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [str(engines.postgres_bin / "postgres"), "-D", str(data), *options]

    def is_ready(server: Server) -> bool:
        # PostgreSQL writes its port and its state into lines 4 and 8 of its pid file.
        with suppress(FileNotFoundError, IndexError):
            lines = (data / "postmaster.pid").read_text().splitlines()
            return lines[3] == str(server.port) and lines[7].strip() == "ready"
        return False

    return _Command(arguments=arguments, stdin=lambda server: "", is_ready=is_ready)


def _valkey_command(engines: Engines, folder: Path, *, durable: bool) -> _Command:
    def settings(server: Server) -> str:
        # Read from standard input, so that the password does not show in the process list.
        return "\n".join((
            "bind 127.0.0.1",
            f"port {server.port}",
            f"requirepass {server.password}",
            f'dir "{folder}"',
            f"databases {VALKEY_DATABASES}",
            "save 60 1" if durable else 'save ""',
            "",
        ))  # fmt: skip

    return _Command(
        arguments=lambda server: [str(engines.valkey), "-"], stdin=settings, is_ready=_answers_ping
    )


def _answers_ping(server: Server) -> bool:
    with (
        suppress(OSError),
        socket.create_connection(("127.0.0.1", server.port), timeout=1) as connection,
    ):
        connection.sendall(f"AUTH {server.password}\r\nPING\r\n".encode())
        with connection.makefile("rb") as answers:
            return [answers.readline(), answers.readline()] == [b"+OK\r\n", b"+PONG\r\n"]
    return False


def _start(home: Path, *, name: str, last: Server, command: _Command) -> Server:
    """Start a server on its last port or else a free one; a port may be taken between look and use, so try again."""
    for _ in range(PORT_ATTEMPTS):
        server = replace(
            last, port=last.port if last.port and port_is_free(last.port) else free_port()
        )
        with (home / f"{name}.log").open("wb") as log:
            process = spawn(
                command.arguments(server),
                folder=home / name,
                stdin=command.stdin(server),
                output=log,
            )
        server = replace(server, **asdict(identify(process.pid)))
        write_secret(home / f"{name}.json", json.dumps(asdict(server)))
        if _becomes_ready(process, server, command.is_ready):
            _children[server.pid] = process
            return server
        if "in use" not in (home / f"{name}.log").read_text(errors="replace"):
            break
    raise EngineError(
        f"{name} did not start ({_complaint(home / f'{name}.log')}): see {home / f'{name}.log'}."
    )


def _becomes_ready(
    process: subprocess.Popen[bytes], server: Server, is_ready: Callable[[Server], bool]
) -> bool:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        if is_ready(server):
            return True
        time.sleep(0.02)
    process.kill()
    process.wait()
    return False


def _complaint(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    errors = [line for line in lines if "FATAL" in line or "PANIC" in line or "rror" in line]
    return (errors or lines or ["it said nothing"])[-1]


def free_port() -> int:
    """Return a loopback port that is free at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def port_is_free(port: int) -> bool:
    """Return whether a server could listen on this loopback port at this moment."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True

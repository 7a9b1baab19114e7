"""`up` and its companions, run in a copy of the checkout: it answers, heals, and leaves nothing behind."""

import json
import os
import re
import shlex
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
import urllib.request

import psycopg
import pytest

from exerati.lib.example_models import EXAMPLE_MODELS
from exerati.management.commands import up
from exerati.servers import demo_payments, local_state, startup
from exerati.servers.follow import Follower
from exerati.servers.processes import identify
from exerati.servers.supervisor import Service, Supervisor, end_child, start_child
from tests.checkout import copied
from tests.upstream import wait_until


@pytest.fixture
def checkout():
    with copied() as checkout:
        yield checkout


def get(url):
    with urllib.request.urlopen(url, timeout=60) as answer:  # noqa: S310  an address of our own
        return answer.status, answer.read().decode()


def run_printed_call(printed):
    """Run the curl command of the greeting, as a stranger would, and return the JSON answer."""
    if shutil.which("curl") is None:
        pytest.skip("needs curl, as the call in the greeting does")
    lines = printed[printed.index("curl -s ") :].split("\n\n")[0]
    command = shlex.split(lines.replace("\\\n", " "))
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def stripe_of(checkout):
    """Return the address of the stand-in for Stripe that `up` has started."""
    values = local_state.read_env(checkout.folder / ".exerati" / "local.env")
    return values["EXERATI_STRIPE_API_BASE"]


def alive(pids):
    return [pid for pid in pids if identify(pid).alive]


def test_the_readme_and_the_greeting_name_one_model():
    readme = (local_state.ROOT / "README.md").read_text()

    assert re.findall(r'model="([^"]+)"', readme) == [EXAMPLE_MODELS["test"]]
    assert '"model": "{model}"' in up.READY


@pytest.mark.slow
def test_up_answers_the_call_it_prints_and_down_leaves_nothing(checkout):
    printed = checkout.up()
    demo_file = checkout.folder / ".exerati" / "demo.json"
    demo = json.loads(demo_file.read_text())
    pids = checkout.pids()

    assert "[5/5] starting web, gateway, worker and beat ..." in printed
    answer = run_printed_call(printed)
    assert answer["choices"][0]["message"]["role"] == "assistant"
    assert answer["model"] == EXAMPLE_MODELS["test"]
    assert get(f"{demo['site_url']}/healthz") == (200, "ok\n")
    assert get(stripe_of(checkout) + "/_test/dump")[0] == 200  # payments are tests there
    assert {"base_url", "site_url", "email", "password", "api_key", "test_api_key"} <= demo.keys()
    assert stat.S_IMODE(demo_file.stat().st_mode) == 0o600
    assert "already runs" in checkout.run("up")[1]
    assert checkout.status()[0] == 0

    assert checkout.run("down") == (0, "Exerati is stopped.\n")
    assert alive(pids) == []
    assert checkout.status() == (3, {"state": "stopped", "site_url": None, "services": {}})

    checkout.up()
    assert json.loads(demo_file.read_text())["test_api_key"] == demo["test_api_key"]


@pytest.mark.slow
def test_up_starts_again_what_dies_and_clears_up_after_a_kill(checkout):
    checkout.up()
    dead = checkout.record()["services"]["web-1"]["pid"]
    os.kill(dead, signal.SIGKILL)
    wait_until(lambda: dead not in checkout.pids())
    assert "web-1 ended unexpectedly" in checkout.run("logs", "up")[1]

    killed = checkout.pids()
    os.kill(killed[0], signal.SIGKILL)
    checkout.up()

    assert alive(killed) == []
    assert checkout.status()[1]["state"] == "running"


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_ctrl_c_ends_all_in_seconds_but_the_database_that_was_named(
    checkout, database_url, redis_url
):
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE named_by_the_operator")
    own = database_url.rpartition("/")[0] + "/named_by_the_operator"
    checkout.environment |= {"DATABASE_URL": own, "REDIS_URL": redis_url}
    foreground = checkout.start("up")
    for line in foreground.stdout:
        if "Ctrl-C stops everything" in line:
            break
    pids = checkout.pids()

    foreground.send_signal(signal.SIGINT)
    rest = foreground.communicate(timeout=120)[0]

    assert "Stopping ..." in rest
    assert foreground.returncode == 0
    assert alive(pids) == []
    assert not list((checkout.folder / ".exerati").glob("postgres*"))
    with psycopg.connect(own, autocommit=True) as connection:
        assert connection.execute("SELECT count(*) > 0 FROM django_migrations").fetchone() == (
            True,
        )
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("DROP DATABASE named_by_the_operator WITH (FORCE)")


def test_database_that_cannot_be_reached_ends_in_a_sentence(checkout):
    checkout.environment |= {
        "DATABASE_URL": "postgresql://x:y@127.0.0.1:1/none",
        "REDIS_URL": "redis://127.0.0.1:1/0",
    }

    code, printed = checkout.run("up")

    assert code == 1
    assert "The database at 127.0.0.1:1 cannot be used" in printed
    assert "check DATABASE_URL" in printed


def test_port_asked_for_and_taken_ends_in_a_sentence(checkout):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        code, printed = checkout.run("up", "--port", str(port))

    assert code == 1
    assert (
        f"Port {port} cannot be used: stop the program that has it, or choose another with --port."
        in printed
    )


def test_next_port_is_taken_when_none_was_asked_for(monkeypatch):
    said: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr(startup, "DEFAULT_PORT", port)

        listener = startup.listen(None, say=said.append)

    with listener:
        found = listener.getsockname()[1]
    assert found > port
    assert said == [f"Port {port} is taken by another program, so this site is on {found}."]


def test_commands_say_so_when_nothing_runs(checkout):
    assert checkout.run("down") == (0, "Exerati was not running.\n")
    assert checkout.run("status") == (3, "stopped\n")
    assert "There is no log" in checkout.run("logs")[1]


def test_reset_removes_local_data_and_keeps_the_environment(checkout):
    state = checkout.folder / ".exerati"
    (state / "postgres" / "data").mkdir(parents=True)
    for name in ("postgres.json", "demo.json", "local.env"):
        (state / name).write_text("")

    code, printed = checkout.run("reset", "--yes")

    assert code == 0, printed
    assert not any(
        (state / name).exists() for name in ("postgres", "postgres.json", "demo.json", "local.env")
    )
    assert (checkout.folder / ".venv").exists()


def test_secrets_of_a_checkout_are_made_once_and_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(local_state, "LOCAL_ENV", tmp_path / "local.env")

    local_state.write_local_env({"SITE_URL": "http://127.0.0.1:8000"})
    first = local_state.read_env(tmp_path / "local.env")
    local_state.write_local_env({"SITE_URL": "http://127.0.0.1:8001"})
    second = local_state.read_env(tmp_path / "local.env")

    assert first == {**second, "SITE_URL": "http://127.0.0.1:8000"}
    assert all(len(second[name]) >= 32 for name in local_state.SECRETS)
    assert stat.S_IMODE((tmp_path / "local.env").stat().st_mode) == 0o600


def test_follower_reads_whole_lines_and_notices_a_new_file(tmp_path):
    log = tmp_path / "web.log"
    follower = Follower(paths=[log])
    assert list(follower.lines()) == []

    log.write_text("one\ntwo\nhal")
    assert list(follower.lines()) == [("web", "one"), ("web", "two")]

    with log.open("a") as file:
        file.write("f\n")
    assert list(follower.lines()) == [("web", "half")]

    log.write_text("new\n")
    assert list(follower.lines()) == [("web", "new")]


def sleeper(tmp_path, code):
    """Return the service of a Python program."""
    command = [sys.executable, "-c", code]
    return Service(
        name="it", start=lambda: start_child(command, log=tmp_path / "it.log"), end=end_child
    )


def test_supervisor_waits_longer_after_each_death(tmp_path):
    said: list[str] = []
    supervisor = Supervisor(say=said.append, changed=lambda: None)
    supervisor.start(sleeper(tmp_path, ""))

    deadline = time.monotonic() + 120
    while supervisor.deaths("it") < 3:
        supervisor.watch()
        time.sleep(0.02)
        assert time.monotonic() < deadline
    supervisor.stop(seconds=1)

    assert said == [
        f"it ended unexpectedly; it is started again in {pause} s." for pause in ("0.5", "1", "2")
    ]


def test_supervisor_kills_what_does_not_end(tmp_path):
    deaf = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("deaf", flush=True)
time.sleep(60)
"""
    supervisor = Supervisor(say=print, changed=lambda: None)
    supervisor.start(sleeper(tmp_path, deaf))
    process = supervisor.processes["it"]
    wait_until(lambda: "deaf" in (tmp_path / "it.log").read_text())

    supervisor.stop(seconds=0.2)

    assert not process.alive


def test_payments_of_the_demo_are_a_stand_in_unless_a_key_is_set_or_they_are_off():
    stand_in = demo_payments.stand_in({})

    assert stand_in is not None
    assert stand_in.environment["EXERATI_STRIPE_API_BASE"] == f"http://127.0.0.1:{stand_in.port}"
    assert stand_in.environment["STRIPE_SECRET_KEY"].startswith("sk_test_")
    assert demo_payments.stand_in({"STRIPE_SECRET_KEY": "sk_test_real"}) is None
    assert demo_payments.stand_in({"EXERATI_PAYMENTS": "off"}) is None


def test_production_refuses_the_stand_in():
    secret = "s" * 40
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "exerati.settings.production",
        "EXERATI_SECRET_KEY": secret,
        "EXERATI_KEY_PEPPER": secret,
        "EXERATI_FIELD_KEY": secret,
        "EXERATI_ALLOWED_HOSTS": "exerati.example",
        "EXERATI_STRIPE_API_BASE": "http://127.0.0.1:9",
    }
    started = subprocess.run(
        [sys.executable, "-c", "import exerati.settings.production"],
        cwd=local_state.ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert started.returncode == 1
    assert "EXERATI_STRIPE_API_BASE is for tests and the demo" in started.stderr

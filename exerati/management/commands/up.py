"""Runs all of Exerati on this machine: PostgreSQL, Valkey, web, gateway, worker and beat."""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from exerati.bootstrap import SetupError, writable
from exerati.lib.example_models import EXAMPLE_MODELS
from exerati.servers import local_state, startup
from exerati.servers.engines import EngineError
from exerati.servers.follow import Follower
from exerati.servers.local_state import DEMO, LOGS, ROOT, STATE_DIR

READY = """
Exerati is ready.

  Site      {site_url}
  Log in    {email}   password {password}
  API       {base_url}

Try it (a test key: nothing is charged, no provider is called):

  curl -s {base_url}/chat/completions -H "Authorization: Bearer {test_api_key}" \\
    -H "Content-Type: application/json" \\
    -d '{{"model": "{model}", "messages": [{{"role": "user", "content": "Hello!"}}]}}'

{how_to_stop}
"""
STOP_HERE = "Ctrl-C stops everything. Mail to users and the logs appear below."
STOP_DETACHED = (
    "`python3 manage.py down` stops everything, `logs -f` shows mail to users and the logs."
)


class Command(BaseCommand):
    """`manage.py up`: in the foreground, or with --detach in the background."""

    help = __doc__
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Take a port and whether to stay in the foreground."""
        parser.add_argument(
            "--port", type=int, help="the site's port; 8000 or the next free one if not given"
        )
        parser.add_argument("--detach", action="store_true", help="return once the site answers")
        parser.add_argument(
            "--detached", action="store_true", help=argparse.SUPPRESS
        )  # what --detach starts

    def handle(self, *args: Any, **options: Any) -> None:
        """Start everything and stay until it is to end."""
        try:
            with writable(STATE_DIR):
                if options["detach"]:
                    self._detach(options["port"])
                else:
                    when_ready = self._greet if options["detached"] else self._greet_and_show_logs
                    startup.run(port=options["port"], say=self._say, when_ready=when_ready)
        except local_state.AlreadyRunning:
            run = local_state.read_run()
            self._say(
                f"Exerati already runs{f' on {run.site_url}' if run else ''}: `manage.py down` stops it."
            )
        except (startup.StartError, EngineError, SetupError) as error:
            raise CommandError(str(error)) from error

    def _say(self, sentence: str) -> None:
        self.stdout.write(sentence)
        self.stdout.flush()

    def _greet(self) -> Callable[[], None]:
        self._say(greeting(how_to_stop=STOP_DETACHED))
        return lambda: None

    def _greet_and_show_logs(self) -> Callable[[], None]:
        self._say(greeting(how_to_stop=STOP_HERE))
        follower = Follower(paths=sorted(LOGS.glob("w*.log")))
        follower.skip()

        def show_logs() -> None:
            for name, line in follower.lines():
                self._say(f"{name}: {line}")

        return show_logs

    def _detach(self, port: int | None) -> None:
        """Start `up` again in a session of its own, and show what it says until the site answers or it ends."""
        local_state.make_folders()
        log = LOGS / "up.log"
        command = [
            sys.executable,
            "manage.py",
            "up",
            "--detached",
            *([] if port is None else ["--port", str(port)]),
        ]
        with log.open("wb") as output:
            background = subprocess.Popen(
                command,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        follower = Follower(paths=[log])
        while background.poll() is None and not is_ready(background.pid):
            self._show(follower)
            time.sleep(0.05)
        self._show(follower)
        if background.returncode:
            sys.exit(background.returncode)
        background.returncode = 0  # it goes on without us; Python would warn of a child left behind

    def _show(self, follower: Follower) -> None:
        for _, line in follower.lines():
            self._say(line)


def is_ready(pid: int) -> bool:
    """Return whether the `up` with process id `pid` has said that the site answers."""
    run = local_state.read_run()
    return run is not None and run.ready and run.supervisor.pid == pid


def greeting(*, how_to_stop: str) -> str:
    """Return what a stranger needs first: the address, the login and a call that works."""
    demo = json.loads(DEMO.read_text())
    return READY.format(how_to_stop=how_to_stop, model=EXAMPLE_MODELS["test"], **demo)

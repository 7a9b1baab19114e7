"""Shows the logs of what `up` runs: web-1, web-2, worker, beat, postgres, valkey, and up itself if detached."""

import time
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from exerati.servers.engines import home_of
from exerati.servers.follow import Follower
from exerati.servers.local_state import LOGS, STATE_DIR


class Command(BaseCommand):
    """`manage.py logs [-f] [name ...]`."""

    help = __doc__
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the names of logs, and whether to wait for more."""
        parser.add_argument("names", nargs="*", metavar="name", help="only these")
        parser.add_argument("-f", "--follow", action="store_true", help="go on as lines are added")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print each line with the name of its log."""
        follower = Follower(paths=chosen(options["names"]))
        while True:
            for name, line in follower.lines():
                self.stdout.write(f"{name}: {line}")
            self.stdout.flush()
            if not options["follow"]:
                return
            time.sleep(0.2)


def chosen(names: list[str]) -> list[Path]:
    """Return the paths of the named logs, or of all. Raises CommandError for a name that has none."""
    logs = {
        path.stem: path
        for folder in (LOGS, home_of(STATE_DIR))
        for path in sorted(folder.glob("*.log"))
    }
    unknown = [name for name in names if name not in logs]
    if unknown or not logs:
        known = ", ".join(logs) or "none yet: start with `python3 manage.py up`"
        raise CommandError(f"There is no log {' '.join(unknown)}; there are: {known}.")
    return [logs[name] for name in names] if names else list(logs.values())

"""Says what of `up` is running; leaves with 0 if the site answers, 3 if nothing or not all of it runs."""

import json
import sys
from typing import Any
from urllib.parse import urlsplit

from django.core.management.base import BaseCommand, CommandParser

from exerati.servers import local_state, startup

NOT_RUNNING = 3


class Command(BaseCommand):
    """`manage.py status`: for people, or for scripts with --json."""

    help = __doc__
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the form of the answer."""
        parser.add_argument("--json", action="store_true", help="one JSON object instead of lines")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print the state of the whole and of each process."""
        state = look()
        lines = [
            f"{name:10} {'running' if up else 'ended'}" for name, up in state["services"].items()
        ]
        text = "\n".join([f"{state['state']}  {state['site_url'] or ''}".strip(), *lines])
        self.stdout.write(json.dumps(state) if options["json"] else text)
        if state["state"] != "running":
            sys.exit(NOT_RUNNING)


def look() -> dict[str, Any]:
    """Return `state` (running, starting, broken, stopped), `site_url` and whether each service runs."""
    run = local_state.read_run()
    if run is None:
        return {"state": "stopped", "site_url": None, "services": {}}
    services = {name: process.alive for name, process in run.services.items()}
    if not run.supervisor.alive:
        state = "broken" if any(services.values()) else "stopped"
    elif not run.ready:
        state = "starting"
    else:
        answers = startup.is_ready(urlsplit(run.site_url).port or startup.DEFAULT_PORT)
        state = "running" if answers and all(services.values()) else "broken"
    return {"state": state, "site_url": run.site_url, "services": services}

"""Stops what `up` has started, also what a killed `up` has left running."""

import signal
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from exerati.servers import local_state, startup
from exerati.servers.processes import stop

# The supervisor gives its processes their time first, one kind after the other.
PATIENCE_SECONDS = 60.0


class Command(BaseCommand):
    """`manage.py down`: the other end of `up --detach`."""

    help = __doc__
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        """Stop everything and say whether there was anything to stop."""
        self.stdout.write(
            "Exerati is stopped." if stop_everything() else "Exerati was not running."
        )


def stop_everything() -> bool:
    """Stop the supervisor, then whatever it could not stop; return whether there was anything."""
    run = local_state.read_run()
    if run is None:
        return False
    stop(run.supervisor, signals=((signal.SIGTERM, PATIENCE_SECONDS),))
    try:
        with local_state.only_run():
            startup.end_leftovers()
    except local_state.AlreadyRunning as error:
        raise CommandError(
            "Another `up` of this checkout has begun meanwhile: run `down` again."
        ) from error
    return True

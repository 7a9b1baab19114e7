"""Stops everything and removes this checkout's local data: databases, demo login, logs."""

import shutil
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from exerati.management.commands.down import stop_everything
from exerati.servers import startup
from exerati.servers.engines import home_of
from exerati.servers.local_state import DEMO, LOCAL_ENV, LOGS, STATE_DIR


class Command(BaseCommand):
    """`manage.py reset`: asks first, unless told --yes."""

    help = __doc__
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the answer beforehand."""
        parser.add_argument("--yes", action="store_true", help="do not ask")

    def handle(self, *args: Any, **options: Any) -> None:
        """Remove the data; servers named by DATABASE_URL and REDIS_URL are not ours to empty."""
        question = f"Remove the local databases, demo login and logs of {STATE_DIR.parent}? [y/N] "
        if not options["yes"] and input(question).strip().lower() != "y":
            raise CommandError("Nothing was removed.")
        stop_everything()
        remove_data()
        self.stdout.write("The local data is removed; `python3 manage.py up` starts afresh.")
        if startup.given().database_url:
            self.stdout.write(
                "The database of DATABASE_URL is untouched: empty it yourself if you mean to."
            )


def remove_data() -> None:
    """Remove databases, records, demo login, secrets and logs; the environments stay."""
    home = home_of(STATE_DIR)
    for name in ("postgres", "valkey"):
        shutil.rmtree(home / name, ignore_errors=True)
        for file in home.glob(f"{name}.*"):
            file.unlink()
    shutil.rmtree(LOGS, ignore_errors=True)
    for file in (DEMO, LOCAL_ENV, *STATE_DIR.glob("celerybeat-schedule*")):
        file.unlink(missing_ok=True)

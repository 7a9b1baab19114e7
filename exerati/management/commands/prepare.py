"""Brings the database up to date for `up`: migrations, the catalog, the demo organization."""

import io
import json
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError
from django.urls import reverse

from exerati.bootstrap import step
from exerati.servers.local_state import DEMO, write_secret
from exerati.servers.startup import STEPS


class Command(BaseCommand):
    """`manage.py prepare`: safe to run as often as one likes."""

    help = __doc__

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the three steps; they come second to fourth in `up`."""
        try:
            with step(2, STEPS, "migrating the database"):
                call_command("migrate", verbosity=0, interactive=False)
            with step(3, STEPS, "loading the catalog"):
                waiting = see_to_catalog()
            if waiting:
                self.stdout.write(
                    f"      {waiting} changes of the catalog wait for a decision: {settings.SITE_URL}"
                    + reverse("admin:gateway_catalogchange_changelist")
                )
            with step(4, STEPS, "seeing to the demo organization"):
                see_to_demo()
        except OperationalError as error:
            where = settings.DATABASES["default"]
            raise CommandError(
                f"The database at {where['HOST']}:{where['PORT']} cannot be used ({str(error).splitlines()[0]}): "
                "check DATABASE_URL."
            ) from error


def see_to_catalog() -> int:
    """Load the catalog, or propose what its files say otherwise; return how many changes wait for a decision."""
    out = io.StringIO()
    call_command("catalog", "propose", "--json", stdout=out)
    waiting: int = json.loads(out.getvalue())["open_changes"]
    return waiting


def see_to_demo() -> None:
    """Write `demo.json`; the keys it names are kept as long as they belong to this database."""
    out = io.StringIO()
    call_command("demo", existing=DEMO, stdout=out)
    addresses = {"base_url": settings.API_BASE_URL, "site_url": settings.SITE_URL}
    write_secret(
        DEMO, json.dumps(addresses | json.loads(out.getvalue()) | addresses, indent=2) + "\n"
    )

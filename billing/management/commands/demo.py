"""`manage.py demo`: a demo organization with credit, a login and two keys; prints JSON."""

import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from billing import demo


class Command(BaseCommand):
    """Make the demo organization, or find it again."""

    help = "Make a demo organization with credit, a login and two keys, and print them as JSON."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument("--existing", type=Path, help="what an earlier run printed, as a file")
        parser.add_argument("--password", default="", help="a random one if not given")
        parser.add_argument("--json", action="store_true", help="JSON is what it prints anyway")

    def handle(self, *args: Any, existing: Path | None, password: str, **options: Any) -> None:
        """Print the demo organization's login and keys."""
        found = demo.ensure(existing=read(existing), password=password)
        self.stdout.write(json.dumps(found, indent=2))


def read(path: Path | None) -> dict[str, object]:
    """Return what the file holds, nothing where there is none; raises CommandError for another file."""
    if path is None or not path.exists():
        return {}
    try:
        values = json.loads(path.read_text())
    except ValueError as error:
        raise CommandError(f"{path} holds no JSON: delete it and try again.") from error
    return values if isinstance(values, dict) else {}

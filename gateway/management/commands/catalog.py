"""`manage.py catalog load|propose`: the models and prices of catalog files."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict
from datetime import date
from pathlib import Path

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from exerati.lib.operator import Answer, OperatorCommand
from gateway.catalog import catalog_changes, catalog_data, catalog_load
from gateway.catalog.catalog_changes import Origin
from gateway.catalog.catalog_load import Counts
from gateway.catalog.catalog_row import CatalogInvalid

Write = Callable[..., Counts]


class Command(OperatorCommand):
    """The catalog."""

    help = "The models and prices that are sold, and what catalog files say of them."
    actions = {
        "load": "make everything as the files have it, at once; each change stays on record",
        "propose": "propose what the files say otherwise, for staff to decide; an empty catalog is loaded",
        "changes": "list what waits for a decision",
    }

    def add_load_arguments(self, parser: CommandParser) -> None:
        """Declare whose files."""
        parser.add_argument(
            "--folder",
            type=Path,
            default=catalog_data.FOLDER,
            help="another folder with providers.json and models.json",
        )

    add_propose_arguments = add_load_arguments

    def load(self, folder: Path) -> Answer:
        """Load the files; a second run changes nothing."""
        return self._written(folder, write=catalog_load.load)

    def propose(self, folder: Path) -> Answer:
        """Compare the files with what is sold; a second run proposes nothing more."""
        return self._written(folder, write=catalog_load.propose)

    def changes(self) -> Answer:
        """Return each change that waits."""
        return [
            {
                "model": change.model,
                "field": change.field,
                "old": json.dumps(change.old),
                "new": json.dumps(change.new),
                "source": change.source,
            }
            for change in catalog_changes.open_changes()
        ]

    def _written(self, folder: Path, *, write: Write) -> Answer:
        try:
            catalog = catalog_data.load(folder)
            origin = _origin(folder)
        except (CatalogInvalid, OSError, ValueError) as error:
            raise CommandError(str(error)) from error
        return asdict(write(catalog, origin=origin, now=timezone.now()))


def _origin(folder: Path) -> Origin:
    """Return whose files these are; their day stands in the curation, where that lies beside them."""
    digest = hashlib.sha256((folder / "models.json").read_bytes()).hexdigest()
    curation = folder / "curation.json"
    as_of = None
    if curation.exists():
        as_of = date.fromisoformat(json.loads(curation.read_text(encoding="utf-8"))["as_of"])
    name = "shipped with the code" if folder == catalog_data.FOLDER else str(folder)
    return Origin(name=name, as_of=as_of, digest=digest)

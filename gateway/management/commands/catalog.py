"""`manage.py catalog load`: the shipped models and prices."""

from dataclasses import asdict

from django.core.management.base import CommandError
from django.utils import timezone

from exerati.lib.operator import Answer, OperatorCommand
from gateway import catalog_data, catalog_load
from gateway.catalog_row import CatalogInvalid


class Command(OperatorCommand):
    """The catalog."""

    help = "Write the catalog that ships with the code into the database."
    actions = {"load": "add and refresh providers, models, routes and prices"}

    def load(self) -> Answer:
        """Load the catalog; a second run changes nothing."""
        try:
            catalog = catalog_data.load()
        except CatalogInvalid as error:
            raise CommandError(str(error)) from error
        return asdict(catalog_load.load(catalog, now=timezone.now()))

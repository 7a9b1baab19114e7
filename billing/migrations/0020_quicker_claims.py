"""Closing a period joins lines and groups before it spreads the groups into events: four times as quick."""

from django.db import migrations

from billing.sql import load


class Migration(migrations.Migration):
    dependencies = [("billing", "0019_rare_calls")]
    operations = [load("invoices")]

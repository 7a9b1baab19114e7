"""The partitioned table of usage events, and the triggers that keep the ledger append-only."""

from django.db import migrations

from billing.sql import load


class Migration(migrations.Migration):
    dependencies = [("billing", "0001_initial")]
    operations = [load("tables")]

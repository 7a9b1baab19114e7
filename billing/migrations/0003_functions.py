"""The functions of admission, settlement, sweep and roll-up."""

from django.db import migrations

from billing.sql import FUNCTIONS, load


class Migration(migrations.Migration):
    dependencies = [("billing", "0002_tables")]
    operations = [load(name) for name in FUNCTIONS]

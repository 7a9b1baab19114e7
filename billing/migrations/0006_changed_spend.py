"""Rolling up marks the organizations whose spending has changed, for the alerts."""

from django.db import migrations

from billing.sql import load


class Migration(migrations.Migration):
    dependencies = [("billing", "0005_refusals_and_alerts")]
    operations = [load("rollups")]

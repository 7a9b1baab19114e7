"""True-ups and extensions meet caps that were set since the call was admitted."""

from django.db import migrations

from billing.sql import load


class Migration(migrations.Migration):
    dependencies = [("billing", "0007_true_ups_and_raises")]
    operations = [load("extend"), load("true_up")]

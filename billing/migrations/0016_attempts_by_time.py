"""What was tried in a range of days is found by time, for the comparison with what providers state."""

import django.contrib.postgres.indexes
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations


class Migration(migrations.Migration):
    atomic = False  # a large table keeps taking rows while the index is made
    dependencies = [("billing", "0015_reconciliation")]
    operations = [
        AddIndexConcurrently(
            model_name="attempt",
            index=django.contrib.postgres.indexes.BrinIndex(
                fields=["started_at"], name="attempts_by_time"
            ),
        ),
    ]

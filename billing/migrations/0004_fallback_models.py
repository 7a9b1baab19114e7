"""A reservation holds on the counters of every model that may serve, and is posted to the one that did."""

import django.contrib.postgres.fields
from django.db import migrations, models

from billing.sql import load


class Migration(migrations.Migration):
    dependencies = [("billing", "0003_functions")]
    operations = [
        migrations.AddField(
            model_name="reservation",
            name="fallback_models",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(max_length=120),
                blank=True,
                db_default=[],
                default=list,
                size=None,
            ),
        ),
        load("budgets"),
        load("reserve"),
        load("settle"),
    ]

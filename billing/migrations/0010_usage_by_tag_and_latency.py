"""Tags of calls, audio and image tokens and latency in the hourly sums."""

import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models

from billing.sql import load


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0001_initial"),
        ("apikeys", "0003_media_endpoints"),
        ("billing", "0009_topups"),
    ]

    operations = [
        migrations.AddField(
            model_name="usagerollup",
            name="audio_tokens",
            field=models.BigIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name="usagerollup",
            name="image_tokens",
            field=models.BigIntegerField(db_default=0, default=0),
        ),
        migrations.CreateModel(
            name="LatencyRollup",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("hour", models.DateTimeField()),
                ("model", models.CharField(max_length=120)),
                ("mode", models.CharField(max_length=4)),
                (
                    "first_token_counts",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.BigIntegerField(), size=None
                    ),
                ),
                (
                    "duration_counts",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.BigIntegerField(), size=None
                    ),
                ),
                (
                    "organization",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="accounts.organization",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("organization", "hour", "model", "mode"),
                        name="one_latency_rollup_each_hour",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="TagRollup",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("input_tokens", models.BigIntegerField(default=0)),
                ("output_tokens", models.BigIntegerField(default=0)),
                ("cache_read_tokens", models.BigIntegerField(default=0)),
                ("cache_write_tokens", models.BigIntegerField(default=0)),
                ("reasoning_tokens", models.BigIntegerField(default=0)),
                ("hour", models.DateTimeField()),
                ("tag", models.CharField(max_length=40)),
                ("model", models.CharField(max_length=120)),
                ("mode", models.CharField(max_length=4)),
                ("requests", models.BigIntegerField(default=0)),
                ("errors", models.BigIntegerField(default=0)),
                ("audio_tokens", models.BigIntegerField(default=0)),
                ("image_tokens", models.BigIntegerField(default=0)),
                ("price_nanousd", models.BigIntegerField(default=0)),
                ("charge_nanousd", models.BigIntegerField(default=0)),
                (
                    "key",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="apikeys.apikey",
                    ),
                ),
                (
                    "organization",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="accounts.organization",
                    ),
                ),
                (
                    "project",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="accounts.project",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("organization", "hour", "project", "key", "tag", "model", "mode"),
                        name="one_tag_rollup_each_hour",
                        nulls_distinct=False,
                    )
                ],
            },
        ),
        migrations.RunSQL(
            "ALTER TABLE billing_usageevent ADD COLUMN tags text[]",
            "ALTER TABLE billing_usageevent DROP COLUMN tags",
        ),
        load("rollups"),
        load("true_up"),
        load("settle"),
    ]

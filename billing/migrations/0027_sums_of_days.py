"""Sums of days beside the hourly ones, kept by triggers, and filled with what there is."""

import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models

from billing.sql import load

SUMS = (
    *("requests", "errors", "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens"),
    *("reasoning_tokens", "audio_tokens", "image_tokens", "price_nanousd", "charge_nanousd"),
)
LATENCY_SUMS = ("first_token_counts", "duration_counts")


def triggers(hours: str, *arguments: str) -> migrations.RunSQL:
    """Return the operation that keeps the days of an hourly table; nobody writes hours until it is committed."""
    tables = {
        "INSERT": "NEW TABLE AS new_hours",
        "UPDATE": "NEW TABLE AS new_hours OLD TABLE AS old_hours",
        "DELETE": "OLD TABLE AS old_hours",
    }
    return migrations.RunSQL(
        [
            f"CREATE TRIGGER days_of_{name.lower()} AFTER {name} ON {hours} REFERENCING {changed} "
            f"FOR EACH STATEMENT EXECUTE FUNCTION billing_sum_days({', '.join(map(repr, arguments))})"
            for name, changed in tables.items()
        ],
        [f"DROP TRIGGER days_of_{name.lower()} ON {hours}" for name in tables],
    )


def fill(hours: str, days: str, keys: str, sums: dict[str, str]) -> migrations.RunSQL:
    """Return the operation that adds up the hours that there are."""
    return migrations.RunSQL(
        f"INSERT INTO {days} (day, {keys}, {', '.join(sums)}) "  # noqa: S608  names of our own
        f"SELECT date_trunc('day', hour, 'UTC') AS day, {keys}, {', '.join(sums.values())} "
        f"FROM {hours} GROUP BY day, {keys}",
        migrations.RunSQL.noop,
    )


ADDED = {name: f"sum({name})" for name in SUMS}
COUNTED = {name: f"billing_sum_counts({name}, 1)" for name in LATENCY_SUMS}
KEYS = "organization_id, project_id, key_id, model, mode"
LATENCY_KEYS = "organization_id, model, mode"


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0007_leaked_keys'),
        ('apikeys', '0007_leaks'),
        ('billing', '0026_prompt_tiers_by_the_longest'),
    ]

    operations = [
        migrations.CreateModel(
            name='LatencyDayRollup',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('day', models.DateTimeField()),
                ('model', models.CharField(max_length=120)),
                ('mode', models.CharField(max_length=4)),
                ('first_token_counts', django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), size=None)),
                ('duration_counts', django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), size=None)),
                ('organization', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='accounts.organization')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('organization', 'day', 'model', 'mode'), name='one_latency_rollup_each_day')],
            },
        ),
        migrations.CreateModel(
            name='TagDayRollup',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('input_tokens', models.BigIntegerField(default=0)),
                ('output_tokens', models.BigIntegerField(default=0)),
                ('cache_read_tokens', models.BigIntegerField(default=0)),
                ('cache_write_tokens', models.BigIntegerField(default=0)),
                ('reasoning_tokens', models.BigIntegerField(default=0)),
                ('day', models.DateTimeField()),
                ('model', models.CharField(max_length=120)),
                ('mode', models.CharField(max_length=4)),
                ('requests', models.BigIntegerField(default=0)),
                ('errors', models.BigIntegerField(default=0)),
                ('audio_tokens', models.BigIntegerField(default=0)),
                ('image_tokens', models.BigIntegerField(default=0)),
                ('price_nanousd', models.BigIntegerField(default=0)),
                ('charge_nanousd', models.BigIntegerField(default=0)),
                ('tag', models.CharField(max_length=40)),
                ('key', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='apikeys.apikey')),
                ('organization', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='accounts.organization')),
                ('project', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='accounts.project')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('organization', 'day', 'project', 'key', 'tag', 'model', 'mode'), name='one_tag_rollup_each_day', nulls_distinct=False)],
            },
        ),
        migrations.CreateModel(
            name='UsageDayRollup',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('input_tokens', models.BigIntegerField(default=0)),
                ('output_tokens', models.BigIntegerField(default=0)),
                ('cache_read_tokens', models.BigIntegerField(default=0)),
                ('cache_write_tokens', models.BigIntegerField(default=0)),
                ('reasoning_tokens', models.BigIntegerField(default=0)),
                ('day', models.DateTimeField()),
                ('model', models.CharField(max_length=120)),
                ('mode', models.CharField(max_length=4)),
                ('requests', models.BigIntegerField(default=0)),
                ('errors', models.BigIntegerField(default=0)),
                ('audio_tokens', models.BigIntegerField(default=0)),
                ('image_tokens', models.BigIntegerField(default=0)),
                ('price_nanousd', models.BigIntegerField(default=0)),
                ('charge_nanousd', models.BigIntegerField(default=0)),
                ('key', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='apikeys.apikey')),
                ('organization', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='accounts.organization')),
                ('project', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='accounts.project')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('organization', 'day', 'project', 'key', 'model', 'mode'), name='one_rollup_each_day', nulls_distinct=False)],
            },
        ),
        *(load(name) for name in ("true_up", "days", "rollups")),
        triggers("billing_usagerollup", "billing_usagedayrollup", KEYS, "calls"),
        triggers("billing_tagrollup", "billing_tagdayrollup", f"tag, {KEYS}", "calls"),
        triggers("billing_latencyrollup", "billing_latencydayrollup", LATENCY_KEYS, "counts"),
        fill("billing_usagerollup", "billing_usagedayrollup", KEYS, ADDED),
        fill("billing_tagrollup", "billing_tagdayrollup", f"tag, {KEYS}", ADDED),
        fill("billing_latencyrollup", "billing_latencydayrollup", LATENCY_KEYS, COUNTED),
    ]

"""
What a provider may cost at an abandoned call, late settlements, raised bounds, temporary raises of caps, and a flag on
events whose usage was odd.
"""

import django.db.models.deletion
import django.db.models.expressions
import django.utils.timezone
import uuid
from django.conf import settings
from django.db import migrations, models

from billing.sql import load


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0001_initial"),
        ("billing", "0006_changed_spend"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name="reservation",
            name="extensions",
            field=models.PositiveSmallIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name="reservation",
            name="input_cost_nanousd",
            field=models.BigIntegerField(
                help_text="What a provider may charge us as soon as it has the request.", null=True
            ),
        ),
        migrations.AddField(
            model_name="reservation",
            name="progress_attempts",
            field=models.JSONField(null=True),
        ),
        migrations.AddField(
            model_name="reservation",
            name="progress_cost_nanousd",
            field=models.BigIntegerField(null=True),
        ),
        migrations.CreateModel(
            name="BudgetRaise",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "scope",
                    models.CharField(
                        choices=[
                            ("organization", "Organization"),
                            ("project", "Project"),
                            ("key", "Key"),
                            ("key_model", "Key Model"),
                        ],
                        max_length=12,
                    ),
                ),
                (
                    "scope_id",
                    models.BigIntegerField(help_text="Row id of the organization, project or key."),
                ),
                ("model", models.CharField(blank=True, default="", max_length=120)),
                (
                    "period",
                    models.CharField(
                        choices=[
                            ("day", "Day"),
                            ("week", "Week"),
                            ("month", "Month"),
                            ("total", "Total"),
                        ],
                        max_length=5,
                    ),
                ),
                ("extra_nanousd", models.BigIntegerField()),
                ("starts_at", models.DateTimeField()),
                ("ends_at", models.DateTimeField()),
                ("reason", models.CharField(max_length=200)),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                (
                    "created_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "organization",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="budget_raises",
                        to="accounts.organization",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["organization", "ends_at"], name="raises_of_the_present")
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("extra_nanousd__gt", 0)), name="raise_adds_something"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("ends_at__gte", models.F("starts_at"))),
                        name="raise_ends_after_start",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="TrueUp",
            fields=[
                (
                    "request_id",
                    models.UUIDField(default=uuid.uuid4, primary_key=True, serialize=False),
                ),
                ("occurred_at", models.DateTimeField()),
                ("estimated_nanousd", models.BigIntegerField()),
                ("wanted_nanousd", models.BigIntegerField()),
                ("applied_nanousd", models.BigIntegerField()),
                ("provider_cost_nanousd", models.BigIntegerField(null=True)),
                ("was_invoiced", models.BooleanField(default=False)),
                ("created_at", models.DateTimeField()),
                (
                    "organization",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="accounts.organization",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            (
                                "estimated_nanousd__gte",
                                django.db.models.expressions.CombinedExpression(
                                    models.F("applied_nanousd"), "*", models.Value(-1)
                                ),
                            )
                        ),
                        name="trueup_leaves_no_credit",
                    )
                ],
            },
        ),
        migrations.RunSQL(
            "ALTER TABLE billing_usageevent ADD COLUMN usage_flag varchar(16) NOT NULL DEFAULT ''",
            "ALTER TABLE billing_usageevent DROP COLUMN usage_flag",
        ),
        migrations.RunSQL(
            "DROP FUNCTION IF EXISTS billing_posted(bigint, text, bigint, text, timestamptz, timestamptz)",
            migrations.RunSQL.noop,
        ),
        load("budgets"),
        load("reserve"),
        load("settle"),
        load("true_up"),
        load("extend"),
    ]

"""Comparisons with what others say of money, and the costs that providers state."""

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0001_initial"),
        ("billing", "0014_lots_refunds_and_automatic_topups"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="ProviderCostImport",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("sha256", models.CharField(max_length=64, unique=True)),
                ("file_name", models.CharField(max_length=200)),
                ("form", models.CharField(max_length=20)),
                ("lines_read", models.PositiveIntegerField(default=0)),
                (
                    "imported_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                (
                    "actor",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="ReconRun",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "subject",
                    models.CharField(
                        choices=[("stripe", "Stripe"), ("costs", "Provider costs")], max_length=10
                    ),
                ),
                ("since", models.DateTimeField()),
                ("until", models.DateTimeField()),
                (
                    "started_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                ("finished_at", models.DateTimeField(blank=True, null=True)),
                (
                    "checked",
                    models.JSONField(
                        default=dict, help_text="How many objects of each kind were compared."
                    ),
                ),
                ("totals", models.JSONField(default=dict, help_text="The sums of both sides.")),
                ("error", models.CharField(blank=True, default="", max_length=200)),
            ],
            options={
                "indexes": [
                    models.Index(fields=["subject", "-started_at"], name="recon_runs_by_subject")
                ],
            },
        ),
        migrations.CreateModel(
            name="ProviderCostLine",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("provider", models.CharField(max_length=60)),
                ("model", models.CharField(max_length=200)),
                ("day", models.DateField()),
                ("cost_nanousd", models.BigIntegerField()),
                (
                    "source",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="lines",
                        to="billing.providercostimport",
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["provider", "day"], name="provider_costs_by_day")],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("source", "provider", "model", "day"), name="one_cost_each_day"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="ReconItem",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("payment_unknown", "Payment that we know nothing of"),
                            ("payment_missing", "Credit without a payment"),
                            ("amount", "Other amount"),
                            ("customer", "Other customer"),
                            ("customer_gone", "Customer deleted at Stripe"),
                            ("refund", "Refund that is not booked so"),
                            ("dispute", "Dispute that is not booked so"),
                            ("ledger", "Ledger differs from its top-up"),
                            ("invoice", "Invoice that differs"),
                            ("total", "Sums differ"),
                            ("cost_drift", "Provider charges other than we booked"),
                            ("negative_margin", "Model sold below its cost"),
                        ],
                        max_length=20,
                    ),
                ),
                ("object_id", models.CharField(max_length=300)),
                ("fingerprint", models.CharField(max_length=64)),
                ("theirs", models.JSONField(default=dict)),
                ("ours", models.JSONField(default=dict)),
                (
                    "difference_nanousd",
                    models.BigIntegerField(default=0, help_text="Theirs less ours."),
                ),
                (
                    "found_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                ("gone_at", models.DateTimeField(blank=True, null=True)),
                ("acknowledged_at", models.DateTimeField(blank=True, null=True)),
                ("reason", models.CharField(blank=True, default="", max_length=300)),
                (
                    "acknowledged_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "organization",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="accounts.organization",
                    ),
                ),
                (
                    "last_run",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="billing.reconrun",
                    ),
                ),
                (
                    "run",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="items",
                        to="billing.reconrun",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("acknowledged_at", None), ("gone_at", None)),
                        fields=["-found_at"],
                        name="recon_items_open",
                    )
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("kind", "object_id", "fingerprint"), name="one_item_each_difference"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("acknowledged_at", None),
                            models.Q(("reason", ""), _negated=True),
                            _connector="OR",
                        ),
                        name="recon_item_acknowledged_with_reason",
                    ),
                ],
            },
        ),
    ]

"""Prices of single organizations, and the markup rules that make them."""

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0002_days_that_bodies_are_kept"),
        ("billing", "0016_attempts_by_time"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="MarkupRule",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "model",
                    models.CharField(
                        blank=True,
                        default="",
                        help_text="Public name; empty: every model.",
                        max_length=120,
                    ),
                ),
                (
                    "percent",
                    models.DecimalField(
                        blank=True,
                        decimal_places=3,
                        help_text="Empty: the price list.",
                        max_digits=7,
                        null=True,
                    ),
                ),
                ("reason", models.CharField(max_length=200)),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
            ],
        ),
        migrations.RemoveConstraint(
            model_name="priceversion",
            name="one_price_each_moment",
        ),
        migrations.AddField(
            model_name="priceversion",
            name="organization",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="own_prices",
                to="accounts.organization",
            ),
        ),
        migrations.AddConstraint(
            model_name="priceversion",
            constraint=models.UniqueConstraint(
                fields=("model", "organization", "effective_from"),
                name="one_price_each_moment",
                nulls_distinct=False,
            ),
        ),
        migrations.AddField(
            model_name="markuprule",
            name="actor",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="markuprule",
            name="organization",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="markup_rules",
                to="accounts.organization",
            ),
        ),
        migrations.AddConstraint(
            model_name="markuprule",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("percent", None),
                    models.Q(("percent__gte", 0), ("percent__lte", 1000)),
                    _connector="OR",
                ),
                name="markup_is_no_discount_on_cost",
            ),
        ),
        migrations.AddConstraint(
            model_name="markuprule",
            constraint=models.CheckConstraint(
                condition=models.Q(("reason", ""), _negated=True), name="markup_has_a_reason"
            ),
        ),
    ]

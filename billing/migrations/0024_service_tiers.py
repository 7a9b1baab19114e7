"""Events, reservations and invoice lines know the service tier whose rates hold, so that a line has one rate a class."""

from django.db import migrations, models

from billing.sql import load


class Migration(migrations.Migration):
    dependencies = [("billing", "0023_the_ledger_by_grants")]

    operations = [
        migrations.RunSQL(
            "ALTER TABLE billing_usageevent ADD COLUMN service_tier varchar(40) NOT NULL DEFAULT ''",
            "ALTER TABLE billing_usageevent DROP COLUMN service_tier",
        ),
        migrations.AddField(
            model_name="reservation",
            name="service_tier",
            field=models.CharField(blank=True, db_default="", default="", max_length=40),
        ),
        migrations.AddField(
            model_name="invoiceline",
            name="service_tier",
            field=models.CharField(blank=True, db_default="", default="", max_length=40),
        ),
        migrations.RemoveConstraint(model_name="invoiceline", name="one_line_each_price"),
        migrations.AddConstraint(
            model_name="invoiceline",
            constraint=models.UniqueConstraint(
                condition=models.Q(("price_version__isnull", False)),
                fields=(
                    "invoice",
                    "model",
                    "price_version",
                    "service_tier",
                    "above_input_tokens",
                    "is_late",
                ),
                name="one_line_each_price",
            ),
        ),
        load("reserve"),
        load("settle"),
        load("invoices"),
    ]

"""What is written into the ledger stays, by its trigger and by grants: its owner takes the rights from itself."""

from django.db import migrations

TABLES = "billing_ledgertransfer, billing_lotdraw"


class Migration(migrations.Migration):
    dependencies = [("billing", "0022_plans_taxes_and_ends")]
    operations = [
        migrations.RunSQL(
            f"REVOKE UPDATE, DELETE ON {TABLES} FROM PUBLIC, CURRENT_USER",
            f"GRANT UPDATE, DELETE ON {TABLES} TO CURRENT_USER",
        )
    ]

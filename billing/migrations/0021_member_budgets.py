"""One more scope of budgets: a member's, over all keys that the member made."""

from django.db import migrations, models

from billing.sql import load


class Migration(migrations.Migration):
    dependencies = [
        ("billing", "0020_quicker_claims"),
        ("accounts", "0006_member_budgets"),
    ]
    operations = [
        migrations.AlterField(
            model_name="budget",
            name="scope",
            field=models.CharField(
                choices=[
                    ("wallet", "Wallet"),
                    ("organization", "Organization"),
                    ("project", "Project"),
                    ("key", "Key"),
                    ("key_model", "Key Model"),
                    ("member", "Member"),
                ],
                max_length=12,
            ),
        ),
        migrations.AlterField(
            model_name="budget",
            name="scope_id",
            field=models.BigIntegerField(
                help_text="Row id of the organization, project, key or membership."
            ),
        ),
        load("budgets"),
        load("reserve"),
    ]

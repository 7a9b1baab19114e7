"""The errors of one status are found in the index: ten thousand of others were read from the table on the way to it."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("billing", "0027_sums_of_days")]

    operations = [
        migrations.RunSQL(
            [
                "DROP INDEX usage_errors",
                "CREATE INDEX usage_errors ON billing_usageevent"
                " (organization_id, occurred_at DESC, request_id DESC, status) WHERE status >= 400",
            ],
            [
                "DROP INDEX usage_errors",
                "CREATE INDEX usage_errors ON billing_usageevent"
                " (organization_id, occurred_at DESC, request_id DESC) WHERE status >= 400",
            ],
        ),
        migrations.RemoveIndex(model_name="refusedrequest", name="refusals_by_organization"),
        migrations.AddIndex(
            model_name="refusedrequest",
            index=models.Index(
                fields=["organization", "-occurred_at", "-request_id", "status"],
                name="refusals_by_organization",
            ),
        ),
    ]

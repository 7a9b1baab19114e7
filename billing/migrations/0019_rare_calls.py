from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ('billing', '0018_invoice_returns'),
    ]

    operations = [
        # The request log by outcome and by basis: what is not as usual, newest first, however rare it is.
        migrations.RunSQL(
            "CREATE INDEX usage_unusual ON billing_usageevent (organization_id, occurred_at DESC, request_id DESC)"
            " WHERE outcome <> 'finished' OR basis <> 'reported'",
            "DROP INDEX usage_unusual",
        ),
        # The request log by cost: calls above $0.10 (request_log.DEAR_NANOUSD), newest first.
        migrations.RunSQL(
            "CREATE INDEX usage_dear ON billing_usageevent (organization_id, occurred_at DESC, request_id DESC)"
            " WHERE charge_nanousd > 100000000",
            "DROP INDEX usage_dear",
        ),
    ]

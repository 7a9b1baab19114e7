"""What was taken back of a lot no longer remains in it."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("billing", "0012_request_pages")]
    operations = [
        migrations.RunSQL(
            """
            UPDATE billing_creditlot SET remaining_nanousd = greatest(amount_nanousd - reversed_nanousd, 0)
            WHERE reversed_nanousd > 0
            """,
            migrations.RunSQL.noop,
        )
    ]

"""A line's prompt tier is that of the longest prompt of a call that had several, as its price is."""

from django.db import migrations

from billing.sql import load


class Migration(migrations.Migration):
    dependencies = [("billing", "0025_notices_of_leaks")]
    operations = [load("invoices")]

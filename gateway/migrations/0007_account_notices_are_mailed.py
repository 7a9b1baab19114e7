from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("gateway", "0006_status_page"),
    ]

    operations = [
        migrations.AddField(
            model_name="accountnotice",
            name="told_at",
            field=models.DateTimeField(
                blank=True, help_text="When it was mailed to staff.", null=True
            ),
        ),
    ]

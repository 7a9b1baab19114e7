# Choices only: the database is not touched.

import django.contrib.postgres.fields
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('apikeys', '0002_key_disabled_reason'),
    ]

    operations = [
        migrations.AlterField(
            model_name='apikey',
            name='endpoints',
            field=django.contrib.postgres.fields.ArrayField(base_field=models.CharField(choices=[('chat.completions', 'Chat completions'), ('completions', 'Completions (legacy)'), ('responses', 'Responses'), ('messages', 'Messages (Anthropic)'), ('embeddings', 'Embeddings'), ('images.generations', 'Images: generate'), ('images.edits', 'Images: edit'), ('audio.speech', 'Audio: speech'), ('audio.transcriptions', 'Audio: transcriptions'), ('audio.translations', 'Audio: translations'), ('moderations', 'Moderations'), ('rerank', 'Rerank')], max_length=60), blank=True, default=list, size=None),
        ),
    ]

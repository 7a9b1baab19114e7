"""Cohere is spoken to in its own API now, not in its imitation of OpenAI's; an address set by hand stays."""

from django.db import migrations

OLD = "https://api.cohere.ai/compatibility/v1"
NEW = "https://api.cohere.com/v2"


def forwards(apps, schema_editor):
    apps.get_model("gateway", "Provider").objects.filter(name="cohere", base_url=OLD).update(
        api="cohere", base_url=NEW, quirks=["no_stream_options"]
    )


def backwards(apps, schema_editor):
    apps.get_model("gateway", "Provider").objects.filter(name="cohere", base_url=NEW).update(
        api="openai", base_url=OLD, quirks=["max_tokens_only"]
    )


class Migration(migrations.Migration):

    dependencies = [("gateway", "0003_provider_apis")]

    operations = [migrations.RunPython(forwards, backwards)]

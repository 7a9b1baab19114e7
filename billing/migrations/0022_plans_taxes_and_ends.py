"""Prices of plans, tax of automatic top-ups, what receipts show, how organizations end, events that are put off."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0006_member_budgets'),
        ('billing', '0021_member_budgets'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name='priceversion',
            name='one_price_each_moment',
        ),
        migrations.AddField(
            model_name='billingaccount',
            name='closed_at',
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
        migrations.AddField(
            model_name='billingaccount',
            name='closing_at',
            field=models.DateTimeField(blank=True, editable=False, help_text='Since when the organization is ending.', null=True),
        ),
        migrations.AddField(
            model_name='billingaccount',
            name='cost_centre',
            field=models.CharField(blank=True, db_default='', default='', max_length=60),
        ),
        migrations.AddField(
            model_name='billingaccount',
            name='purchase_order',
            field=models.CharField(blank=True, db_default='', default='', max_length=60),
        ),
        migrations.AddField(
            model_name='invoice',
            name='shown',
            field=models.JSONField(blank=True, db_default=models.Value([], models.JSONField()), default=list, help_text='Names and values on its PDF.'),
        ),
        migrations.AddField(
            model_name='markuprule',
            name='plan',
            field=models.CharField(blank=True, choices=[('prepaid', 'prepaid'), ('postpaid', 'postpaid')], db_default='', default='', help_text='Instead of an organization: everybody who pays so and has no rule of their own.', max_length=8),
        ),
        migrations.AddField(
            model_name='priceversion',
            name='plan',
            field=models.CharField(blank=True, db_default='', default='', max_length=8),
        ),
        migrations.AddField(
            model_name='topup',
            name='shown',
            field=models.CharField(blank=True, db_default='', default='', help_text='On its receipt.', max_length=160),
        ),
        migrations.AddField(
            model_name='topup',
            name='tax_calculation',
            field=models.CharField(blank=True, db_default='', default='', max_length=60),
        ),
        migrations.AlterField(
            model_name='markuprule',
            name='organization',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='markup_rules', to='accounts.organization'),
        ),
        migrations.AddIndex(
            model_name='stripeevent',
            index=models.Index(condition=models.Q(('note', 'put off until its invoice is paid here')), fields=['applied_at'], name='stripe_events_put_off'),
        ),
        migrations.AddConstraint(
            model_name='markuprule',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('organization', None), ('plan__gt', '')), models.Q(('organization__isnull', False), ('plan', '')), _connector='OR'), name='markup_of_an_organization_or_a_plan'),
        ),
        migrations.AddConstraint(
            model_name='priceversion',
            constraint=models.UniqueConstraint(fields=('model', 'organization', 'plan', 'effective_from'), name='one_price_each_moment', nulls_distinct=False),
        ),
        migrations.AddConstraint(
            model_name='priceversion',
            constraint=models.CheckConstraint(condition=models.Q(('organization', None), ('plan', ''), _connector='OR'), name='price_of_an_organization_or_a_plan'),
        ),
    ]

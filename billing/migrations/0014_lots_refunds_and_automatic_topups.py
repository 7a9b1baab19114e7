"""Draws of lots, refunds, automatic top-ups, and the hourly use of wallets."""

import django.db.models.deletion
import django.db.models.expressions
import django.utils.timezone
import uuid
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0001_initial'),
        ('billing', '0013_lots_less_what_was_taken_back'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='AutoTopUp',
            fields=[
                ('organization', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, primary_key=True, related_name='auto_topup', serialize=False, to='accounts.organization')),
                ('is_on', models.BooleanField(default=False)),
                ('threshold_cents', models.PositiveIntegerField()),
                ('target_cents', models.PositiveIntegerField()),
                ('ceiling_cents', models.PositiveIntegerField()),
                ('consent_text', models.TextField(blank=True, default='')),
                ('consented_at', models.DateTimeField(blank=True, null=True)),
                ('declines', models.PositiveSmallIntegerField(default=0)),
                ('not_before', models.DateTimeField(blank=True, null=True)),
                ('off_reason', models.CharField(blank=True, default='', max_length=200)),
            ],
        ),
        migrations.CreateModel(
            name='LotDraw',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('amount_nanousd', models.BigIntegerField()),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
            ],
        ),
        migrations.CreateModel(
            name='Refund',
            fields=[
                ('uuid', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('net_cents', models.PositiveIntegerField()),
                ('tax_cents', models.PositiveIntegerField(default=0)),
                ('state', models.CharField(choices=[('requested', 'Requested'), ('done', 'Done'), ('failed', 'Failed')], default='requested', max_length=9)),
                ('generation', models.PositiveSmallIntegerField(default=1)),
                ('stripe_id', models.CharField(blank=True, default='', max_length=60)),
                ('reason', models.CharField(max_length=200)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('ended_at', models.DateTimeField(blank=True, null=True)),
            ],
        ),
        migrations.CreateModel(
            name='WalletDraws',
            fields=[
                ('organization', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, primary_key=True, related_name='+', serialize=False, to='accounts.organization')),
                ('transfer_id', models.BigIntegerField(default=0)),
                ('posted_nanousd', models.BigIntegerField(default=0)),
                ('uncovered_nanousd', models.BigIntegerField(default=0)),
            ],
        ),
        migrations.CreateModel(
            name='WalletHour',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('hour', models.DateTimeField()),
                ('postings', models.BigIntegerField()),
                ('taken_nanousd', models.BigIntegerField()),
                ('first_id', models.BigIntegerField()),
                ('last_id', models.BigIntegerField()),
            ],
        ),
        migrations.RemoveConstraint(
            model_name='creditlot',
            name='lot_remaining_within_amount',
        ),
        migrations.RemoveConstraint(
            model_name='creditlot',
            name='lot_reversed_within_amount',
        ),
        migrations.AddField(
            model_name='creditlot',
            name='expired_nanousd',
            field=models.BigIntegerField(default=0),
        ),
        migrations.AddField(
            model_name='creditlot',
            name='frozen_nanousd',
            field=models.BigIntegerField(default=0),
        ),
        migrations.AddField(
            model_name='dispute',
            name='is_frozen',
            field=models.BooleanField(default=False),
        ),
        migrations.AddField(
            model_name='dispute',
            name='kept_net_cents',
            field=models.PositiveIntegerField(default=0),
        ),
        migrations.AddField(
            model_name='topup',
            name='generation',
            field=models.PositiveSmallIntegerField(default=1),
        ),
        migrations.AddField(
            model_name='topup',
            name='is_counted',
            field=models.BooleanField(default=False),
        ),
        migrations.AddField(
            model_name='topup',
            name='pay_url',
            field=models.TextField(blank=True, default=''),
        ),
        migrations.AddField(
            model_name='topup',
            name='way',
            field=models.CharField(choices=[('checkout', 'Checkout'), ('automatic', 'Automatic')], default='checkout', max_length=9),
        ),
        migrations.AlterField(
            model_name='notification',
            name='kind',
            field=models.CharField(choices=[('budget', 'Budget'), ('wallet', 'Wallet'), ('spike', 'Spike'), ('payment', 'Payment')], max_length=8),
        ),
        migrations.AlterField(
            model_name='topup',
            name='receipt_url',
            field=models.TextField(blank=True, default=''),
        ),
        migrations.AddIndex(
            model_name='creditlot',
            index=models.Index(condition=models.Q(('expires_at__isnull', False), ('remaining_nanousd__gt', 0)), fields=['expires_at'], name='lots_to_expire'),
        ),
        migrations.AddIndex(
            model_name='ledgertransfer',
            index=models.Index(condition=models.Q(('kind__in', ['usage', 'trueup']), _negated=True), fields=['organization', 'created_at', 'id'], name='transfers_beside_usage'),
        ),
        migrations.AddConstraint(
            model_name='creditlot',
            constraint=models.CheckConstraint(condition=models.Q(('expired_nanousd__gte', 0), ('frozen_nanousd__gte', 0), ('remaining_nanousd__gte', 0), ('reversed_nanousd__gte', 0)), name='lot_parts_not_negative'),
        ),
        migrations.AddConstraint(
            model_name='creditlot',
            constraint=models.CheckConstraint(condition=models.Q(('amount_nanousd__gte', django.db.models.expressions.CombinedExpression(django.db.models.expressions.CombinedExpression(django.db.models.expressions.CombinedExpression(models.F('remaining_nanousd'), '+', models.F('reversed_nanousd')), '+', models.F('expired_nanousd')), '+', models.F('frozen_nanousd')))), name='lot_parts_within_amount'),
        ),
        migrations.AddConstraint(
            model_name='topup',
            constraint=models.UniqueConstraint(condition=models.Q(('state__in', ['created', 'pending']), ('way', 'automatic')), fields=('organization',), name='one_automatic_topup_at_a_time'),
        ),
        migrations.AddField(
            model_name='autotopup',
            name='consented_by',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='lotdraw',
            name='lot',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='draws', to='billing.creditlot'),
        ),
        migrations.AddField(
            model_name='refund',
            name='actor',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='refund',
            name='topup',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='refunds', to='billing.topup'),
        ),
        migrations.AddConstraint(
            model_name='walletdraws',
            constraint=models.CheckConstraint(condition=models.Q(('uncovered_nanousd__gte', 0)), name='uncovered_not_negative'),
        ),
        migrations.AddField(
            model_name='wallethour',
            name='organization',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='accounts.organization'),
        ),
        migrations.AddConstraint(
            model_name='autotopup',
            constraint=models.CheckConstraint(condition=models.Q(('target_cents__gt', models.F('threshold_cents'))), name='auto_topup_target_above_threshold'),
        ),
        migrations.AddConstraint(
            model_name='autotopup',
            constraint=models.CheckConstraint(condition=models.Q(('is_on', False), models.Q(('consented_at__isnull', False), models.Q(('consent_text', ''), _negated=True)), _connector='OR'), name='auto_topup_needs_consent'),
        ),
        migrations.AddConstraint(
            model_name='lotdraw',
            constraint=models.CheckConstraint(condition=models.Q(('amount_nanousd', 0), _negated=True), name='draw_moves_something'),
        ),
        migrations.AddIndex(
            model_name='refund',
            index=models.Index(condition=models.Q(('state', 'requested')), fields=['created_at'], name='refunds_requested'),
        ),
        migrations.AddConstraint(
            model_name='refund',
            constraint=models.UniqueConstraint(condition=models.Q(('stripe_id', ''), _negated=True), fields=('stripe_id',), name='one_refund_each_at_stripe'),
        ),
        migrations.AddConstraint(
            model_name='wallethour',
            constraint=models.UniqueConstraint(fields=('organization', 'hour'), name='one_sum_each_hour'),
        ),
        migrations.RunSQL(
            """
            CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON billing_lotdraw
                FOR EACH ROW EXECUTE FUNCTION billing_refuse_change()
            """,
            "DROP TRIGGER append_only ON billing_lotdraw",
        ),
    ]

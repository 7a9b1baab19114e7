"""Postpaid organizations: terms, billing periods, invoices and what follows them; events say who invoices them."""

import django.db.models.deletion
import django.utils.timezone
import exerati.lib.ids
import functools
import uuid
from django.conf import settings
from django.db import migrations, models

from billing.sql import load

EVENTS = """
ALTER TABLE billing_usageevent ADD COLUMN postpaid boolean NOT NULL DEFAULT false;
UPDATE billing_usageevent e SET postpaid = true
FROM billing_ledgertransfer t JOIN billing_ledgeraccount a ON a.id = t.debit_account_id
WHERE a.kind = 'unbilled' AND t.kind = 'usage' AND t.idempotency_key = 'request:' || e.request_id;
-- Closing a period: what an organization owes and has no line yet, in the order in which it is claimed.
CREATE INDEX usage_unbilled ON billing_usageevent (organization_id, occurred_at, request_id)
    WHERE postpaid AND invoice_line_id IS NULL;
"""


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0001_initial'),
        ('apikeys', '0003_media_endpoints'),
        ('billing', '0010_usage_by_tag_and_latency'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Adjustment',
            fields=[
                ('uuid', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('amount_nanousd', models.BigIntegerField()),
                ('reason', models.CharField(max_length=200)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
            ],
        ),
        migrations.CreateModel(
            name='BillingPeriod',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('period_start', models.DateTimeField()),
                ('period_end', models.DateTimeField()),
                ('state', models.CharField(choices=[('open', 'Open'), ('closing', 'Closing'), ('sealed', 'Sealed')], default='open', max_length=7)),
                ('ended_by', models.CharField(choices=[('month', 'Month'), ('early', 'Early'), ('left', 'Left')], default='month', max_length=5)),
                ('posted_at_start_nanousd', models.BigIntegerField(default=0)),
                ('posted_at_end_nanousd', models.BigIntegerField(blank=True, null=True)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
            ],
        ),
        migrations.CreateModel(
            name='CreditNote',
            fields=[
                ('uuid', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('net_cents', models.BigIntegerField()),
                ('tax_cents', models.BigIntegerField(default=0)),
                ('after_payment', models.BooleanField(default=False)),
                ('reason', models.CharField(max_length=200)),
                ('stripe_id', models.CharField(blank=True, default='', max_length=60)),
                ('number', models.CharField(blank=True, default='', max_length=60)),
                ('pdf_url', models.URLField(blank=True, default='', max_length=500)),
                ('generation', models.PositiveSmallIntegerField(default=1)),
                ('problem', models.CharField(blank=True, default='', max_length=200)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
            ],
        ),
        migrations.CreateModel(
            name='DunningStep',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('step', models.CharField(choices=[('notice', 'Notice'), ('retry_3', 'Retry 3'), ('retry_5', 'Retry 5'), ('retry_7', 'Retry 7'), ('block', 'Block'), ('write_off', 'Write Off')], max_length=9)),
                ('due_at', models.DateTimeField()),
                ('done_at', models.DateTimeField(blank=True, null=True)),
                ('outcome', models.CharField(blank=True, default='', max_length=200)),
            ],
        ),
        migrations.CreateModel(
            name='Invoice',
            fields=[
                ('uuid', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('public_id', models.CharField(default=functools.partial(exerati.lib.ids.public_id, *('inv',), **{}), editable=False, max_length=40, unique=True)),
                ('version', models.PositiveSmallIntegerField(default=1)),
                ('state', models.CharField(choices=[('closing', 'Closing'), ('zero', 'Zero'), ('carried', 'Carried'), ('sealed', 'Sealed'), ('open', 'Open'), ('paid', 'Paid'), ('uncollectible', 'Uncollectible'), ('void', 'Void')], default='closing', max_length=13)),
                ('claimed_to_at', models.DateTimeField(blank=True, null=True)),
                ('claimed_to_id', models.UUIDField(blank=True, null=True)),
                ('usage_nanousd', models.BigIntegerField(default=0)),
                ('adjusted_nanousd', models.BigIntegerField(default=0)),
                ('carry_before_nanousd', models.BigIntegerField(default=0)),
                ('carry_after_nanousd', models.BigIntegerField(default=0)),
                ('net_cents', models.BigIntegerField(default=0)),
                ('tax_cents', models.BigIntegerField(default=0)),
                ('credited_cents', models.BigIntegerField(default=0, help_text='Net, by credit notes.')),
                ('credited_tax_cents', models.BigIntegerField(default=0)),
                ('collection', models.CharField(default='charge', max_length=6)),
                ('days_until_due', models.PositiveSmallIntegerField(default=0)),
                ('number', models.CharField(blank=True, default='', max_length=60)),
                ('customer_id', models.CharField(blank=True, default='', max_length=60)),
                ('stripe_id', models.CharField(blank=True, default='', max_length=60)),
                ('hosted_url', models.URLField(blank=True, default='', max_length=500)),
                ('pdf_url', models.URLField(blank=True, default='', max_length=500)),
                ('problem', models.CharField(blank=True, default='', max_length=300)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('sealed_at', models.DateTimeField(blank=True, null=True)),
                ('finalized_at', models.DateTimeField(blank=True, null=True)),
                ('due_at', models.DateTimeField(blank=True, null=True)),
                ('paid_at', models.DateTimeField(blank=True, null=True)),
                ('followed_at', models.DateTimeField(blank=True, null=True)),
            ],
        ),
        migrations.CreateModel(
            name='InvoiceLine',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('input_tokens', models.BigIntegerField(default=0)),
                ('output_tokens', models.BigIntegerField(default=0)),
                ('cache_read_tokens', models.BigIntegerField(default=0)),
                ('cache_write_tokens', models.BigIntegerField(default=0)),
                ('reasoning_tokens', models.BigIntegerField(default=0)),
                ('public_id', models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ('model', models.CharField(blank=True, default='', max_length=120)),
                ('above_input_tokens', models.BigIntegerField(default=0)),
                ('is_late', models.BooleanField(default=False)),
                ('first_at', models.DateTimeField(null=True)),
                ('last_at', models.DateTimeField(null=True)),
                ('requests', models.BigIntegerField(default=0)),
                ('charge_nanousd', models.BigIntegerField(default=0)),
                ('details', models.JSONField(default=dict, help_text='Sums of every other token class and unit.')),
            ],
        ),
        migrations.CreateModel(
            name='InvoicePart',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('token_class', models.CharField(max_length=20)),
                ('quantity', models.BigIntegerField(default=0)),
                ('rate', models.BigIntegerField(help_text='micro-USD per million tokens, or nano-USD per unit.', null=True)),
                ('amount_nanousd', models.BigIntegerField()),
                ('amount_cents', models.BigIntegerField()),
                ('description', models.CharField(max_length=250)),
                ('is_other', models.BooleanField(default=False)),
            ],
        ),
        migrations.CreateModel(
            name='InvoiceShare',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('model', models.CharField(max_length=120)),
                ('requests', models.BigIntegerField(default=0)),
                ('charge_nanousd', models.BigIntegerField(default=0)),
            ],
        ),
        migrations.CreateModel(
            name='StripePush',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('step', models.CharField(max_length=20)),
                ('generation', models.PositiveSmallIntegerField(default=1)),
                ('key', models.CharField(max_length=120, unique=True)),
                ('state', models.CharField(choices=[('started', 'Started'), ('done', 'Done'), ('failed', 'Failed')], default='started', max_length=7)),
                ('stripe_id', models.CharField(blank=True, default='', max_length=60)),
                ('note', models.CharField(blank=True, default='', max_length=200)),
                ('started_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('ended_at', models.DateTimeField(blank=True, null=True)),
            ],
        ),
        migrations.AddField(
            model_name='billingaccount',
            name='agreed_limit_nanousd',
            field=models.BigIntegerField(db_default=100000000000, default=100000000000),
        ),
        migrations.AddField(
            model_name='billingaccount',
            name='blocked_at',
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='billingaccount',
            name='collection',
            field=models.CharField(choices=[('charge', 'the card is charged'), ('send', 'the invoice is sent')], db_default='charge', default='charge', max_length=6),
        ),
        migrations.AddField(
            model_name='billingaccount',
            name='days_until_due',
            field=models.PositiveSmallIntegerField(db_default=14, default=14),
        ),
        migrations.AlterField(
            model_name='billingaccount',
            name='credit_limit_nanousd',
            field=models.BigIntegerField(default=0, editable=False),
        ),
        migrations.AlterField(
            model_name='ledgeraccount',
            name='kind',
            field=models.CharField(choices=[('wallet', 'Wallet'), ('receivable', 'Receivable'), ('unbilled', 'Unbilled'), ('rounding_carry', 'Rounding Carry'), ('disputed', 'Disputed'), ('stripe_clearing', 'Stripe Clearing'), ('revenue', 'Revenue'), ('promo_expense', 'Promo Expense'), ('breakage', 'Breakage'), ('tax_payable', 'Tax Payable'), ('tax_receivable', 'Tax Receivable'), ('bad_debt', 'Bad Debt'), ('dispute_fees', 'Dispute Fees')], max_length=16),
        ),
        migrations.AddConstraint(
            model_name='billingaccount',
            constraint=models.CheckConstraint(condition=models.Q(('agreed_limit_nanousd__gte', 0), ('credit_limit_nanousd__gte', 0)), name='limits_not_negative'),
        ),
        migrations.AddField(
            model_name='adjustment',
            name='actor',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='adjustment',
            name='organization',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='adjustments', to='accounts.organization'),
        ),
        migrations.AddField(
            model_name='billingperiod',
            name='organization',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='billing_periods', to='accounts.organization'),
        ),
        migrations.AddField(
            model_name='creditnote',
            name='actor',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='invoice',
            name='organization',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='invoices', to='accounts.organization'),
        ),
        migrations.AddField(
            model_name='invoice',
            name='period',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='invoices', to='billing.billingperiod'),
        ),
        migrations.AddField(
            model_name='dunningstep',
            name='invoice',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='dunning', to='billing.invoice'),
        ),
        migrations.AddField(
            model_name='creditnote',
            name='invoice',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='credit_notes', to='billing.invoice'),
        ),
        migrations.AddField(
            model_name='adjustment',
            name='invoice',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='adjustments', to='billing.invoice'),
        ),
        migrations.AddField(
            model_name='invoiceline',
            name='invoice',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='lines', to='billing.invoice'),
        ),
        migrations.AddField(
            model_name='invoiceline',
            name='price_version',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='billing.priceversion'),
        ),
        migrations.AddField(
            model_name='invoicepart',
            name='line',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='parts', to='billing.invoiceline'),
        ),
        migrations.AddField(
            model_name='invoiceshare',
            name='invoice',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='shares', to='billing.invoice'),
        ),
        migrations.AddField(
            model_name='invoiceshare',
            name='key',
            field=models.ForeignKey(db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='apikeys.apikey'),
        ),
        migrations.AddField(
            model_name='invoiceshare',
            name='project',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='accounts.project'),
        ),
        migrations.AddField(
            model_name='stripepush',
            name='invoice',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='pushes', to='billing.invoice'),
        ),
        migrations.AddIndex(
            model_name='billingperiod',
            index=models.Index(condition=models.Q(('state', 'sealed'), _negated=True), fields=['period_end'], name='periods_to_close'),
        ),
        migrations.AddConstraint(
            model_name='billingperiod',
            constraint=models.UniqueConstraint(fields=('organization', 'period_start'), name='one_period_each_start'),
        ),
        migrations.AddConstraint(
            model_name='billingperiod',
            constraint=models.UniqueConstraint(condition=models.Q(('state', 'open')), fields=('organization',), name='one_open_period'),
        ),
        migrations.AddConstraint(
            model_name='billingperiod',
            constraint=models.CheckConstraint(condition=models.Q(('period_end__gte', models.F('period_start'))), name='period_ends_after_start'),
        ),
        migrations.AddIndex(
            model_name='invoice',
            index=models.Index(fields=['organization', '-created_at'], name='invoices_by_organization'),
        ),
        migrations.AddIndex(
            model_name='invoice',
            index=models.Index(condition=models.Q(('state__in', ['closing', 'sealed', 'open', 'uncollectible'])), fields=['created_at'], name='invoices_not_settled'),
        ),
        migrations.AddConstraint(
            model_name='invoice',
            constraint=models.UniqueConstraint(fields=('organization', 'period', 'version'), name='one_invoice_each_version'),
        ),
        migrations.AddConstraint(
            model_name='invoice',
            constraint=models.UniqueConstraint(condition=models.Q(('state', 'void'), _negated=True), fields=('period',), name='one_invoice_each_period'),
        ),
        migrations.AddConstraint(
            model_name='invoice',
            constraint=models.UniqueConstraint(condition=models.Q(('stripe_id', ''), _negated=True), fields=('stripe_id',), name='one_invoice_each_stripe_invoice'),
        ),
        migrations.AddConstraint(
            model_name='invoice',
            constraint=models.CheckConstraint(condition=models.Q(('carry_after_nanousd__range', (0, 9999999)), ('carry_before_nanousd__range', (0, 9999999))), name='invoice_carry_below_a_cent'),
        ),
        migrations.AddConstraint(
            model_name='invoice',
            constraint=models.CheckConstraint(condition=models.Q(('credited_cents__gte', 0), ('credited_cents__lte', models.F('net_cents')), ('credited_tax_cents__gte', 0), ('credited_tax_cents__lte', models.F('tax_cents'))), name='invoice_credited_within_total'),
        ),
        migrations.AddIndex(
            model_name='dunningstep',
            index=models.Index(condition=models.Q(('done_at', None)), fields=['due_at'], name='dunning_to_be_done'),
        ),
        migrations.AddConstraint(
            model_name='dunningstep',
            constraint=models.UniqueConstraint(fields=('invoice', 'step'), name='one_dunning_step_each'),
        ),
        migrations.AddIndex(
            model_name='creditnote',
            index=models.Index(condition=models.Q(('stripe_id', '')), fields=['created_at'], name='notes_to_be_pushed'),
        ),
        migrations.AddConstraint(
            model_name='creditnote',
            constraint=models.CheckConstraint(condition=models.Q(('net_cents__gt', 0)), name='credit_note_is_positive'),
        ),
        migrations.AddConstraint(
            model_name='adjustment',
            constraint=models.CheckConstraint(condition=models.Q(('amount_nanousd', 0), _negated=True), name='adjustment_changes_something'),
        ),
        migrations.AddConstraint(
            model_name='invoiceline',
            constraint=models.UniqueConstraint(condition=models.Q(('price_version__isnull', False)), fields=('invoice', 'model', 'price_version', 'above_input_tokens', 'is_late'), name='one_line_each_price'),
        ),
        migrations.AddConstraint(
            model_name='invoicepart',
            constraint=models.UniqueConstraint(fields=('line', 'token_class'), name='one_part_each_class'),
        ),
        migrations.AddConstraint(
            model_name='invoiceshare',
            constraint=models.UniqueConstraint(fields=('invoice', 'project', 'key', 'model'), name='one_share_each', nulls_distinct=False),
        ),
        migrations.AddConstraint(
            model_name='stripepush',
            constraint=models.UniqueConstraint(fields=('invoice', 'step', 'generation'), name='one_push_each_generation'),
        ),
        migrations.RunSQL(
            [EVENTS],
            "DROP INDEX usage_unbilled; ALTER TABLE billing_usageevent DROP COLUMN postpaid",
        ),
        load("budgets"),
        load("settle"),
        load("true_up"),
        load("invoices"),
    ]

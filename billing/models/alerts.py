"""What an organization is told of its spending, and what it takes to tell it once."""

from functools import partial

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils import timezone

from accounts.models import Organization
from apikeys.models import ApiKey
from exerati.lib import ids

THRESHOLDS = (50, 80, 90, 100)


def default_thresholds() -> list[int]:
    """Return the shares in percent at which a budget is told of."""
    return list(THRESHOLDS)


class AlertSettings(models.Model):
    """What an organization wants to hear of; one without a row hears of everything and freezes nothing."""

    organization = models.OneToOneField(
        Organization, on_delete=models.CASCADE, related_name="alert_settings"
    )
    thresholds = ArrayField(
        models.PositiveSmallIntegerField(), default=default_thresholds, blank=True
    )
    budgets = models.BooleanField("Budgets", default=True)
    wallet = models.BooleanField("Credit", default=True)
    spikes = models.BooleanField("Unusual spending of a key", default=True)
    by_mail = models.BooleanField("Send mail too", default=True)
    freeze_on_spike = models.BooleanField("Freeze a key that spends unusually", default=False)

    def __str__(self) -> str:
        return f"alerts of {self.organization}"


class ChangedSpend(models.Model):
    """
    An organization whose counters have changed since its alerts were last looked at.

    Rolled-up calls and refusals for money leave the row, the check takes it: so the check reads only what changed.
    """

    organization = models.OneToOneField(
        Organization,
        on_delete=models.CASCADE,
        primary_key=True,
        db_constraint=False,
        related_name="+",
    )

    def __str__(self) -> str:
        return str(self.organization_id)


class WalletWatch(models.Model):
    """
    What a wallet held after its last credit, of which the alerts tell the used share.

    A prepaid wallet has no period: the time from one credit to the next takes its place. `credited` and `posted` are
    the wallet's counters at the last look.
    """

    organization = models.OneToOneField(
        Organization, on_delete=models.CASCADE, primary_key=True, related_name="+"
    )
    since = models.DateTimeField()
    base_nanousd = models.BigIntegerField()
    credited_nanousd = models.BigIntegerField()
    posted_nanousd = models.BigIntegerField()

    def __str__(self) -> str:
        return f"{self.organization_id} {self.base_nanousd}"


class Notification(models.Model):
    """
    One thing an organization was told, on its page and perhaps by mail.

    `occasion` names what happened (which counter, period and threshold), once for each organization: whoever stores
    the row first tells it, everybody after that finds it told. `details` holds the figures of that moment.
    """

    class Kind(models.TextChoices):
        BUDGET = "budget"
        WALLET = "wallet"
        SPIKE = "spike"
        PAYMENT = "payment"  # an automatic top-up that failed, a dispute
        LEAK = "leak"  # a key was found in public

    public_id = models.CharField(
        max_length=40, unique=True, default=partial(ids.public_id, "ntf"), editable=False
    )
    organization = models.ForeignKey(
        Organization, on_delete=models.CASCADE, related_name="notifications"
    )
    kind = models.CharField(max_length=8, choices=Kind.choices)
    occasion = models.CharField(max_length=300)
    key = models.ForeignKey(
        ApiKey, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    details = models.JSONField(default=dict)
    by_mail = models.BooleanField(default=True)
    mailed_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "occasion"], name="one_notification_each_occasion"
            )
        ]
        indexes = [
            # The notifications page and the count of unread ones: one organization's, newest first.
            models.Index(fields=["organization", "-created_at"], name="notices_by_organization"),
            # Mail that is still to be sent.
            models.Index(
                fields=["created_at"],
                condition=models.Q(by_mail=True, mailed_at=None),
                name="notices_to_be_mailed",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.occasion}"


class NotificationRead(models.Model):
    """That one member has read one notification."""

    notification = models.ForeignKey(Notification, on_delete=models.CASCADE, related_name="reads")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    read_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["notification", "user"], name="notification_read_once_each"
            )
        ]

    def __str__(self) -> str:
        return f"{self.user_id} {self.notification_id}"

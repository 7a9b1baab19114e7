"""Users, organizations, their members and projects, and the audit trail."""

from datetime import datetime
from functools import partial
from typing import ClassVar

from django.conf import settings
from django.contrib.auth.base_user import BaseUserManager
from django.contrib.auth.models import AbstractUser
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone

from exerati.lib import ids


class UserManager(BaseUserManager["User"]):
    """Makes users who are known by their email address."""

    def create_user(self, email: str, password: str | None = None, **fields: object) -> "User":
        """Store a user; the address is kept as typed, and unique regardless of case."""
        user = self.model(email=self.normalize_email(email), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: object) -> "User":
        """Store a member of staff with every permission."""
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)

    def get_by_natural_key(self, username: str | None) -> "User":
        """Return the user of an address, whatever its case; raises User.DoesNotExist."""
        return self.get(email__iexact=username)


class User(AbstractUser):
    """A person, known by email address."""

    username = None  # type: ignore[assignment]  # people sign in by email
    email = models.EmailField(unique=True)
    time_zone = models.CharField(max_length=64, default="UTC")
    # Since when the row is only a stand-in for a person who deleted the account (`accounts.deletion`).
    deleted_at = models.DateTimeField(null=True, blank=True, editable=False)

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    objects = UserManager()  # type: ignore[assignment,misc]  # AbstractUser's manager wants a username

    class Meta:
        constraints = [models.UniqueConstraint(Lower("email"), name="user_email_any_case")]

    def __str__(self) -> str:
        return self.email


class LeakedKeys(models.TextChoices):
    """What becomes of a key whose secret was found in public."""

    DISABLE = "disable", "Disable it: its calls are refused until it is rotated or enabled"
    LIMIT = "limit", "Let it spend $1.00 a day at most, until somebody changes its budget"
    TELL = "tell", "Only tell us: it works on"


class Organization(models.Model):
    """The paying tenant."""

    class WeekStart(models.IntegerChoices):
        MONDAY = 1
        SATURDAY = 6
        SUNDAY = 7

    public_id = models.CharField(
        max_length=40, unique=True, default=partial(ids.public_id, "org"), editable=False
    )
    name = models.CharField(max_length=120)
    slug = models.SlugField(max_length=60, unique=True)
    time_zone = models.CharField(
        max_length=64, default="UTC", help_text="IANA name; budget periods follow it."
    )
    week_start = models.PositiveSmallIntegerField(
        choices=WeekStart.choices, default=WeekStart.MONDAY
    )
    month_day = models.PositiveSmallIntegerField(
        default=1, help_text="Day on which monthly budgets start, 1 to 28."
    )
    budget_day_nanousd = models.BigIntegerField(null=True, blank=True)
    budget_week_nanousd = models.BigIntegerField(null=True, blank=True)
    budget_month_nanousd = models.BigIntegerField(null=True, blank=True)
    budget_total_nanousd = models.BigIntegerField(null=True, blank=True)
    suspended_at = models.DateTimeField(null=True, blank=True)
    body_days = models.PositiveSmallIntegerField(
        default=0, db_default=0, help_text="Days that bodies of requests are kept; 0: never stored."
    )
    leaked_keys = models.CharField(
        "When a key is found in public",
        max_length=7,
        choices=LeakedKeys.choices,
        default=LeakedKeys.DISABLE,
        db_default=LeakedKeys.DISABLE,
    )
    mfa_required_at = models.DateTimeField(
        null=True, blank=True, help_text="Since when members need a second factor."
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(month_day__range=(1, 28)), name="organization_month_day"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Membership(models.Model):
    """A user's role in one organization."""

    class Role(models.TextChoices):
        OWNER = "owner"
        ADMIN = "admin"
        DEVELOPER = "developer"
        BILLING = "billing"
        VIEWER = "viewer"

    public_id = models.CharField(
        max_length=40, unique=True, default=partial(ids.public_id, "mem"), editable=False
    )
    organization = models.ForeignKey(
        Organization, on_delete=models.CASCADE, related_name="memberships"
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="memberships"
    )
    role = models.CharField(max_length=20, choices=Role.choices)
    # Caps on all keys that the member made, and on the member's sessions.
    budget_day_nanousd = models.BigIntegerField(null=True, blank=True)
    budget_week_nanousd = models.BigIntegerField(null=True, blank=True)
    budget_month_nanousd = models.BigIntegerField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "user"], name="one_membership_each"),
            *(
                models.CheckConstraint(
                    condition=models.Q(**{f"budget_{period}_nanousd__isnull": True})
                    | models.Q(**{f"budget_{period}_nanousd__gte": 0}),
                    name=f"member_budget_{period}_not_negative",
                )
                for period in ("day", "week", "month")
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user} as {self.role}"


class Project(models.Model):
    """A part of an organization that groups keys and may have budgets of its own."""

    class Colour(models.TextChoices):
        """The series colours of the charts, by name."""

        GREY = "grey"
        BLUE = "blue"
        ORANGE = "orange"
        GREEN = "green"
        VIOLET = "violet"
        PINK = "pink"

    public_id = models.CharField(
        max_length=40, unique=True, default=partial(ids.public_id, "proj"), editable=False
    )
    organization = models.ForeignKey(
        Organization, on_delete=models.CASCADE, related_name="projects"
    )
    name = models.CharField(max_length=120)
    is_default = models.BooleanField(default=False)
    colour = models.CharField(
        max_length=6, choices=Colour.choices, default=Colour.GREY, db_default=Colour.GREY
    )
    budget_day_nanousd = models.BigIntegerField(null=True, blank=True)
    budget_week_nanousd = models.BigIntegerField(null=True, blank=True)
    budget_month_nanousd = models.BigIntegerField(null=True, blank=True)
    budget_total_nanousd = models.BigIntegerField(null=True, blank=True)
    archived_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "name"], name="project_name_once_each"),
            models.UniqueConstraint(
                fields=["organization"],
                condition=models.Q(is_default=True),
                name="one_default_project",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Invitation(models.Model):
    """A mail that lets whoever holds its link become a member."""

    public_id = models.CharField(
        max_length=40, unique=True, default=partial(ids.public_id, "invite"), editable=False
    )
    organization = models.ForeignKey(
        Organization, on_delete=models.CASCADE, related_name="invitations"
    )
    email = models.EmailField()
    role = models.CharField(max_length=20, choices=Membership.Role.choices)
    invited_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    accepted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    sent_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True, blank=True)
    withdrawn_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                models.F("organization"),
                Lower("email"),
                condition=models.Q(accepted_at=None, withdrawn_at=None),
                name="one_open_invitation_each",
            )
        ]

    def __str__(self) -> str:
        return f"{self.email} as {self.role}"

    def is_open_at(self, now: datetime) -> bool:
        """Say whether the link lets somebody in at that moment."""
        return self.accepted_at is None and self.withdrawn_at is None and self.expires_at > now


class AuditEvent(models.Model):
    """Who did what to which object; append-only."""

    organization = models.ForeignKey(
        Organization, on_delete=models.PROTECT, related_name="audit_events"
    )
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    action = models.CharField(max_length=60)
    target = models.CharField(max_length=60, blank=True)
    details = models.JSONField(default=dict)
    occurred_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        # The audit page: one organization's events, newest first.
        indexes = [
            models.Index(fields=["organization", "-occurred_at"], name="audit_by_organization")
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.target}"

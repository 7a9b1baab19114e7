"""What the pages of the request log keep beside the calls themselves: saved views, and bodies where they are on."""

import uuid
from functools import partial

from django.conf import settings
from django.db import models
from django.utils import timezone

from accounts.models import Organization
from exerati.lib import ids


class SavedView(models.Model):
    """A member's filters of the request log under a name."""

    public_id = models.CharField(
        max_length=40, unique=True, default=partial(ids.public_id, "view"), editable=False
    )
    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="+")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    name = models.CharField(max_length=60)
    query = models.CharField(max_length=1000)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "user", "name"], name="one_view_each_name"
            )
        ]

    def __str__(self) -> str:
        return self.name


class StoredBody(models.Model):
    """
    What one request asked and was answered, redacted and sealed; only of organizations that switched this on.

    Written behind by `billing.bodies.stored_bodies`, unreadable after `expires_at` and deleted soon after it.
    """

    request_id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    organization = models.ForeignKey(
        Organization, on_delete=models.CASCADE, db_constraint=False, related_name="+"
    )
    sealed = models.BinaryField()
    stored_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)  # the pruning task's

    def __str__(self) -> str:
        return str(self.request_id)

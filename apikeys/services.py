"""Makes, changes and ends API keys; every change leaves an audit event and reaches every process at once."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NamedTuple, cast

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from accounts import audit
from accounts.models import Organization, Project, User
from apikeys import keys
from apikeys.models import ApiKey, DisabledReason, KeyModelBudget
from exerati.lib import broadcast


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRules:
    """
    What a key may do: scopes, limits, caps. The fields are ApiKey's.

    Empty scopes mean everything, None means the default limit, no cap, or no end.
    """

    model_patterns: list[str] = field(default_factory=list)
    modalities: list[str] = field(default_factory=list)
    endpoints: list[str] = field(default_factory=list)
    ip_allow_list: list[str] = field(default_factory=list)
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrency: int | None = None
    budget_day_nanousd: int | None = None
    budget_week_nanousd: int | None = None
    budget_month_nanousd: int | None = None
    budget_total_nanousd: int | None = None
    max_request_nanousd: int | None = None
    max_output_tokens: int | None = None
    strict_parameters: bool = False
    drain_on_disconnect: bool = False
    metadata: dict[str, Any] = field(default_factory=dict)
    expires_at: datetime | None = None


SECRET_FIELDS = [
    "key_hash",
    "key_prefix",
    "key_last4",
    "old_hash",
    "old_last4",
    "old_expires_at",
]


class CreatedKey(NamedTuple):
    """A stored key and its secret, which is nowhere else: show it now or never."""

    key: ApiKey
    secret: str


class KeyRevoked(Exception):
    """The key was revoked, which nothing changes any more."""


@transaction.atomic
def create_key(
    organization: Organization,
    *,
    name: str,
    mode: str,
    created_by: User | None,
    rules: KeyRules | None = None,
    project: Project | None = None,
) -> CreatedKey:
    """Store a new key in a project (the default one); raises ValidationError when a rule is no valid value."""
    new = keys.make(cast(keys.Mode, ApiKey.Mode(mode).value))
    key = ApiKey(
        organization=organization,
        project=project or organization.projects.get(is_default=True),
        created_by=created_by,
        name=name,
        mode=mode,
        key_prefix=new.prefix,
        key_last4=new.last4,
        key_hash=keys.digest(new.secret, pepper=settings.KEY_PEPPER),
        **asdict(rules or KeyRules()),
    )
    key.full_clean()
    key.save()
    _record(key, "key.created", actor=created_by, details={"name": name, "mode": mode})
    return CreatedKey(key, new.secret)


@transaction.atomic
def update_key(key: ApiKey, *, name: str, rules: KeyRules, actor: User | None) -> None:
    """Replace a key's name and rules; raises ValidationError, or KeyRevoked."""
    stored = ApiKey.every.select_for_update().get(pk=key.pk)
    if stored.revoked_at is not None:
        raise KeyRevoked
    if changes := audit.set_fields(stored, {"name": name, **asdict(rules)}):
        stored.full_clean()
        stored.save(update_fields=list(changes))
        _record(stored, "key.changed", actor=actor, details=changes)
        _broadcast(stored)


@transaction.atomic
def set_model_budget(
    key: ApiKey, *, model: str, period: str, cap_nanousd: int | None, actor: User | None
) -> None:
    """
    Cap what a key may spend on one model in a period (`day`, `week`, `month` or `total`); None takes the cap away.

    The next call meets it, in every process. Raises KeyRevoked.
    """
    stored = ApiKey.every.select_for_update().get(pk=key.pk)
    if stored.revoked_at is not None:
        raise KeyRevoked
    own = KeyModelBudget.objects.filter(key=stored, model=model, period=period)
    before = own.values_list("cap_nanousd", flat=True).first()
    if before == cap_nanousd:
        return
    own.delete()
    if cap_nanousd is not None:
        KeyModelBudget.objects.create(
            key=stored, model=model, period=period, cap_nanousd=cap_nanousd
        )
    changes = {f"{model} a {period}_nanousd": {"from": before, "to": cap_nanousd}}
    _record(stored, "key.model_budget_changed", actor=actor, details=changes)


@transaction.atomic
def rotate_key(key: ApiKey, *, overlap: timedelta, actor: User | None) -> CreatedKey:
    """
    Give a key a new secret; the present one is accepted until the overlap is over, none older. Raises KeyRevoked.

    The key stays what it is: its limits, budgets, spend and history. Without an overlap calls in progress are cut. One
    that was disabled because its secret leaked works again, with the new one alone.
    """
    stored = ApiKey.objects.select_for_update().select_related("organization").get(pk=key.pk)
    if stored.revoked_at is not None:
        raise KeyRevoked
    if stored.disabled_reason == DisabledReason.LEAKED:
        overlap = timedelta(0)
        stored.disabled_at, stored.disabled_reason = None, ""
    new = keys.make(cast(keys.Mode, stored.mode))
    replaced, last4 = bytes(stored.key_hash), stored.key_last4
    retires_at = timezone.now() + overlap if overlap else None
    stored.old_hash = replaced if overlap else None
    stored.old_last4 = last4 if overlap else ""
    stored.old_expires_at = retires_at
    stored.key_prefix, stored.key_last4 = new.prefix, new.last4
    stored.key_hash = keys.digest(new.secret, pepper=settings.KEY_PEPPER)
    stored.save(update_fields=[*SECRET_FIELDS, "disabled_at", "disabled_reason"])
    details = {"old_last4": last4, "old_works_until": audit.plain(retires_at)}
    _record(stored, "key.rotated", actor=actor, details=details)
    _broadcast_digests(replaced, stored.key_hash)
    return CreatedKey(stored, new.secret)


@transaction.atomic
def end_old_secret(key: ApiKey, *, actor: User | None) -> bool:
    """Refuse the secret before the last rotation from now on; return whether there was one."""
    stored = ApiKey.objects.select_for_update().select_related("organization").get(pk=key.pk)
    if stored.old_hash is None:
        return False
    replaced, last4 = bytes(stored.old_hash), stored.old_last4
    stored.old_hash, stored.old_last4, stored.old_expires_at = None, "", None
    stored.save(update_fields=["old_hash", "old_last4", "old_expires_at"])
    _record(stored, "key.old_secret_ended", actor=actor, details={"old_last4": last4})
    _broadcast_digests(replaced)
    return True


def disable_key(key: ApiKey, *, actor: User | None) -> None:
    """Refuse the key's calls until it is enabled again; nothing happens when they are refused already."""
    _mark(key, "key.disabled", actor=actor, disabled_at=timezone.now())


def freeze_key(key: ApiKey, *, reason: DisabledReason, details: Mapping[str, object]) -> bool:
    """
    Disable a key by itself, with the reason and the figures in the audit trail; return whether this did it.

    A key that is disabled already, or revoked, stays as it is.
    """
    return _mark(
        key,
        "key.frozen",
        actor=None,
        details={"reason": str(reason), **details},
        also={"disabled_reason": str(reason)},
        disabled_at=timezone.now(),
    )


@transaction.atomic
def lower_day_budget(key: ApiKey, *, cap_nanousd: int) -> bool:
    """Cap what a key may spend a day, where it could spend more; return whether it could."""
    stored = ApiKey.objects.select_for_update().get(pk=key.pk)
    before = stored.budget_day_nanousd
    if before is not None and before <= cap_nanousd:
        return False
    changes = audit.set_fields(stored, {"budget_day_nanousd": cap_nanousd})
    stored.save(update_fields=list(changes))
    _record(stored, "key.changed", actor=None, details=changes)
    _broadcast(stored)
    return True


def enable_key(key: ApiKey, *, actor: User | None) -> None:
    """Let a disabled or frozen key call again."""
    _mark(key, "key.enabled", actor=actor, also={"disabled_reason": ""}, disabled_at=None)


def revoke_key(key: ApiKey, *, actor: User | None) -> None:
    """End a key for good; a repeat changes nothing, so the first moment stands."""
    _mark(key, "key.revoked", actor=actor, revoked_at=timezone.now())


@transaction.atomic
def _mark(
    key: ApiKey,
    action: str,
    *,
    actor: User | None,
    details: Mapping[str, object] | None = None,
    also: Mapping[str, str] | None = None,
    **change: datetime | None,
) -> bool:
    """
    Set one moment of a key that is not revoked, if that changes anything; the row count says who won.

    Returns whether this call did; `also` are fields that change along, `details` go into the audit trail.
    """
    [(attribute, value)] = change.items()
    changed = ApiKey.every.filter(
        pk=key.pk, revoked_at=None, **{f"{attribute}__isnull": value is not None}
    ).update(**change, **(also or {}))
    if changed:
        _record(key, action, actor=actor, details=details or {})
    _broadcast(key)
    return bool(changed)


def _record(key: ApiKey, action: str, *, actor: User | None, details: Mapping[str, object]) -> None:
    audit.record(
        key.organization, action=action, actor=actor, target=key.public_id, details=details
    )


def _broadcast(key: ApiKey) -> None:
    """Tell every gateway process to read the key again, once the change can be read."""
    _broadcast_digests(*(secret for secret in (key.key_hash, key.old_hash) if secret is not None))


def _broadcast_digests(*digests: bytes | memoryview) -> None:
    """Tell every gateway process to read these secrets again, after the commit."""
    for digest in digests:
        told = bytes(digest).hex()
        transaction.on_commit(partial(broadcast.publish, broadcast.KEY_CHANGED, told))

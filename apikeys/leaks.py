"""
Secrets found in public: what is done about the key, once for each place, and who is told.

Whoever reports one has read it, so anybody may have. What then becomes of the key is its organization's choice
(`Organization.leaked_keys`), made before; a secret that a rotation has replaced is ended whatever the choice, since the
new one goes on.
"""

from collections.abc import Mapping

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from accounts import audit
from accounts.models import LeakedKeys, User
from apikeys import keys, services
from apikeys.models import ApiKey, DisabledReason, KeyLeak, KeyStatus
from exerati.lib import money
from exerati.lib.queue import enqueue

Done = KeyLeak.Done
DAY_CAP_NANOUSD = money.NANOUSD_PER_USD  # what a key that goes on may spend a day
STAFF = "Exerati's staff"  # as a source, where no scanner reported it
MOST_PLACE, MOST_SOURCE = 500, 60  # characters that are kept


@transaction.atomic
def report(secret: str, *, place: str, source: str) -> KeyLeak | None:
    """
    Act on a secret that somebody found, and tell its organization; None where it is no secret of any key now.

    `place` is an address or "", `source` who found it. A place that was reported before changes nothing.
    """
    try:
        parsed = keys.parse(secret)
    except keys.Malformed:
        return None
    digest = keys.digest(parsed.secret, pepper=settings.KEY_PEPPER)
    found = ApiKey.objects.filter(Q(key_hash=digest) | Q(old_hash=digest)).first()
    if found is None:
        return None
    return _act(found, digest=digest, place=place, source=source, actor=None)


@transaction.atomic
def mark(key: ApiKey, *, place: str, source: str, actor: User | None) -> KeyLeak:
    """Act on the present secret of a key, which staff were told of."""
    return _act(key, digest=bytes(key.key_hash), place=place, source=source, actor=actor)


def of_present_secrets(key: ApiKey) -> KeyLeak | None:
    """Return the newest leak of a secret that the key has still; None after it was rotated. One query."""
    digests = [bytes(one) for one in (key.key_hash, key.old_hash) if one is not None]
    return key.leaks.filter(secret_hash__in=digests).order_by("-found_at").first()


def _act(key: ApiKey, *, digest: bytes, place: str, source: str, actor: User | None) -> KeyLeak:
    # The row is locked, so that two reports of one place act once.
    stored = (
        ApiKey.objects.select_for_update(of=("self",)).select_related("organization").get(pk=key.pk)
    )
    place = _storable(place, most=MOST_PLACE)
    leak, is_new = KeyLeak.objects.get_or_create(
        key=stored,
        secret_hash=digest,
        place=place,
        defaults={
            "source": _storable(source, most=MOST_SOURCE),
            "last4": stored.key_last4 if digest == bytes(stored.key_hash) else stored.old_last4,
            "done": Done.TOLD,
        },
    )
    if not is_new:
        return leak
    leak.done = _response(stored, digest=digest)
    facts = {"place": place, "source": leak.source, "done": str(leak.done)}
    audit.record(
        stored.organization,
        action="key.leaked",
        actor=actor,
        target=stored.public_id,
        details=facts,
    )
    _do(stored, leak, facts=facts)
    leak.save(update_fields=["done"])
    enqueue("billing.tell_leak", leak_id=leak.pk)
    return leak


def _response(key: ApiKey, *, digest: bytes) -> str:
    """Return what is to be done about a secret of a key."""
    now = timezone.now()
    is_old = digest != bytes(key.key_hash)
    if key.status_at(now) != KeyStatus.ACTIVE or (is_old and not key.old_secret_works_at(now)):
        return Done.REFUSED
    if is_old:
        return Done.OLD_ENDED
    return {
        LeakedKeys.DISABLE: Done.DISABLED,
        LeakedKeys.LIMIT: Done.LIMITED,
        LeakedKeys.TELL: Done.TOLD,
    }[LeakedKeys(key.organization.leaked_keys)]


def _do(key: ApiKey, leak: KeyLeak, *, facts: Mapping[str, object]) -> None:
    if leak.done == Done.DISABLED:
        services.freeze_key(key, reason=DisabledReason.LEAKED, details=facts)
    elif leak.done == Done.LIMITED:
        services.lower_day_budget(key, cap_nanousd=DAY_CAP_NANOUSD)
    elif leak.done == Done.OLD_ENDED:
        services.end_old_secret(key, actor=None)


def _storable(text: str, *, most: int) -> str:
    """Return what the database can keep of a text that came from outside."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode()[:most]

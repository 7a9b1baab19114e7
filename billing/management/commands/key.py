"""`manage.py key create|list|revoke|leaked`: API keys."""

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone

from accounts.models import Organization, Project
from apikeys import leaks, services
from apikeys.models import BUDGET_PERIODS, ApiKey, Endpoint, Modality
from exerati.lib import money
from exerati.lib.operator import Answer, OperatorCommand, iso, moment, usd


class Command(OperatorCommand):
    """API keys."""

    help = "Create, list and revoke API keys."
    actions = {
        "create": "create a key and print its secret, this once",
        "list": "list keys",
        "revoke": "end a key for good",
        "leaked": "do with a key found in public as its organization chose, and tell it",
    }

    def add_create_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options of `key create`: whose key, then every rule a key may have."""
        parser.add_argument("--organization", required=True, metavar="SLUG")
        parser.add_argument("--project", metavar="NAME", help="the default project if not given")
        parser.add_argument("--name", required=True)
        parser.add_argument("--mode", choices=ApiKey.Mode.values, default="live")
        add_scope_arguments(parser)
        add_limit_arguments(parser)

    def create(
        self, *, organization: str, project: str | None, name: str, mode: str, **rules: Any
    ) -> Answer:
        """Create a key; budgets are in USD, and what is not given is not limited."""
        owner = organization_of(organization)
        budgets = {
            f"budget_{period}_nanousd": rules.pop(f"budget_{period}") for period in BUDGET_PERIODS
        }
        created = services.create_key(
            owner,
            name=name,
            mode=mode,
            created_by=None,
            project=_project(owner, name=project),
            rules=services.KeyRules(**rules, **budgets),
        )
        return {**row(created.key), "api_key": created.secret}

    def add_list_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options of `key list`."""
        parser.add_argument("--organization", metavar="SLUG", help="of all, if not given")

    def list(self, *, organization: str | None) -> Answer:
        """List keys, oldest first; never their secrets."""
        found = ApiKey.objects.select_related("organization", "project").order_by("pk")
        if organization is not None:
            found = found.filter(organization=organization_of(organization))
        return [row(key) for key in found]

    def add_revoke_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options of `key revoke`."""
        parser.add_argument("public_id", help="such as key_01k…, from `key list`")

    def revoke(self, *, public_id: str) -> Answer:
        """Revoke a key everywhere; a repeat changes nothing."""
        key = _key(public_id)
        services.revoke_key(key, actor=None)
        key.refresh_from_db(fields=["revoked_at"])
        return row(key)

    def add_leaked_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options of `key leaked`: which key, and where it was found."""
        parser.add_argument(
            "public_id", help="such as key_01k…; - reads the secret itself from the input"
        )
        parser.add_argument("--place", required=True, metavar="URL")

    def leaked(self, *, public_id: str, place: str) -> Answer:
        """Act on a leak; a place that is known already changes nothing."""
        if public_id == "-":
            leak = leaks.report(sys.stdin.readline().strip(), place=place, source=leaks.STAFF)
        else:
            leak = leaks.mark(_key(public_id), place=place, source=leaks.STAFF, actor=None)
        if leak is None:
            raise CommandError("That is no secret of any key.")
        leak.key.refresh_from_db()
        return {**row(leak.key), "done": leak.get_done_display()}


def add_scope_arguments(parser: ArgumentParser) -> None:
    """Declare what a key may be used for; nothing given means everything."""
    parser.add_argument("--models", nargs="+", default=[], dest="model_patterns", metavar="PATTERN")
    parser.add_argument("--modalities", nargs="+", default=[], choices=Modality.values)
    parser.add_argument("--endpoints", nargs="+", default=[], choices=Endpoint.values)
    parser.add_argument("--ip", nargs="+", default=[], dest="ip_allow_list", metavar="ADDRESS")
    parser.add_argument("--expires", type=moment, dest="expires_at", metavar="DATE")
    parser.add_argument("--strict", action="store_true", dest="strict_parameters")
    parser.add_argument("--drain", action="store_true", dest="drain_on_disconnect")


def add_limit_arguments(parser: ArgumentParser) -> None:
    """Declare how much a key may use; nothing given means the default limits and no budget."""
    parser.add_argument("--rpm", type=int, dest="requests_per_minute", metavar="N")
    parser.add_argument("--tpm", type=int, dest="tokens_per_minute", metavar="N")
    parser.add_argument("--concurrency", type=int, metavar="N")
    parser.add_argument("--max-output-tokens", type=int, metavar="N")
    parser.add_argument("--max-request", type=usd, dest="max_request_nanousd", metavar="USD")
    for period in BUDGET_PERIODS:
        parser.add_argument(f"--budget-{period}", type=usd, metavar="USD")


def organization_of(slug: str) -> Organization:
    """Return the organization of a slug; raises CommandError."""
    organization = Organization.objects.filter(slug=slug).first()
    if organization is None:
        raise CommandError(f"There is no organization {slug}: see `org list`.")
    return organization


def _key(public_id: str) -> ApiKey:
    found = ApiKey.objects.select_related("organization", "project")
    key = found.filter(public_id=public_id).first()
    if key is None:
        raise CommandError(f"There is no key {public_id}: see `key list`.")
    return key


def _project(organization: Organization, *, name: str | None) -> Project | None:
    if name is None:
        return None
    project = organization.projects.filter(name=name, archived_at=None).first()
    if project is None:
        raise CommandError(f"{organization.slug} has no project {name}.")
    return project


def row(key: ApiKey) -> dict[str, object]:
    """Return what scripts may know of a key."""
    return {
        "id": key.public_id,
        "organization": key.organization.slug,
        "project": key.project.name,
        "name": key.name,
        "mode": str(key.mode),
        "key": key.shown,
        "status": str(key.status_at(timezone.now())),
        "models": key.model_patterns,
        **{f"budget_{period}_usd": _usd(key, period) for period in BUDGET_PERIODS},
        "expires_at": iso(key.expires_at),
        "last_used_at": iso(key.last_used_at),
        "created_at": iso(key.created_at),
    }


def _usd(key: ApiKey, period: str) -> str | None:
    cap = getattr(key, f"budget_{period}_nanousd")
    return None if cap is None else money.usd_text(cap)

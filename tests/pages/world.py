"""
The sample organization that every page is looked at with, and the sample objects of addresses.

A page whose address holds nothing but an organization's slug needs nothing here. Any other page needs a line in
`Samples.of`: its name in the URL table (it stands for names that go on after it with an underscore, too), and the
arguments of one or more sample addresses, with the query under `?`. A page with data of its own adds a few rows in
`_fill`, through the factories or, better, through the product's own functions.
"""

import asyncio
import io
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.core.management import call_command
from django.utils import timezone

from accounts import invitations
from accounts import services as account_services
from accounts.models import Invitation, Membership, Organization, User
from apikeys import leaks, projects
from apikeys import services as key_services
from apikeys.models import ApiKey
from apikeys.projects import ProjectRules
from apikeys.services import KeyRules
from billing.aggregation import roll_up
from billing.alerting import notices
from billing.models import UsageEvent
from billing.read_models import request_log
from exerati.lib import money
from gateway.models import Incident, IncidentUpdate, ProbeMinute, Route
from gateway.routes.route_stats import StatsPublisher
from gateway.routes.traffic import Counts
from gateway.snapshot import route_key
from tests import factories
from tests.pages import history, people
from tests.pages import money as money_samples

OWNER = "ada@northwind.example"
USD = money.NANOUSD_PER_USD
Arguments = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Samples:
    """Who looks at the pages, and the arguments of addresses by the name of their page."""

    owner: User
    organization: Organization
    of: Mapping[str, Sequence[Arguments]]
    sessions: Mapping[str, str] = field(default_factory=dict)  # of tests/pages/people.py


def make() -> Samples:
    """Store the shipped catalog and an organization that has worked with it for five weeks."""
    now = timezone.now()
    call_command("catalog", "load", stdout=io.StringIO())
    owner = factories.make_user(OWNER, first_name="Ada", last_name="Byrne")
    organization = factories.make_organization("Northwind", owner=owner)
    invited = invitations.invite(
        organization, email="alan@northwind.example", role=Membership.Role.VIEWER, actor=owner
    )
    members = [_join(organization, name, role) for name, role in _PEOPLE]
    factories.make_credit(organization, usd="250")
    keys = _make_keys(organization, owner)
    calls = history.write(keys[:4], now=now)
    roll_up()
    _set_budgets(organization, keys, owner)
    _leak(keys[5], owner=owner)
    refused = _fill(keys)
    _measure(now)
    slug = {"slug": organization.slug}
    fallback = [call for call in calls if len(call.settle.attempts) > 1]
    failed = [call for call in calls if call.settle.outcome == "failed"]
    shown = (calls[-1].reserve.request_id, fallback[-1].reserve.request_id)
    requests = (*shown, failed[-1].reserve.request_id, refused)
    invoice = money_samples.make_invoice(owner=owner)
    invoices = {"slug": invoice.organization.slug}
    topup = money_samples.make_topup(organization, actor=owner)
    key = {**slug, "public_id": keys[0].public_id}
    event = UsageEvent.objects.get(request_id=shown[0])
    factories.make_stored_body(event, request=_ASKED, answer=_ANSWERED)
    member = {**slug, "public_id": members[0].public_id}
    sessions = people.make(organization)
    offered = _offer(owner)
    project = projects.create_project(
        organization,
        rules=ProjectRules(name="Chat in the shop", colour="blue", budget_month_nanousd=200 * USD),
        actor=owner,
    )
    return Samples(
        owner,
        organization,
        {
            "dashboard:key": [key, {**slug, "public_id": keys[5].public_id}],
            "dashboard:key_models": [key],
            "dashboard:member": [member],
            "dashboard:project": [{**slug, "public_id": project.public_id}],
            "dashboard:invitation": [{**slug, "public_id": invited.public_id}],
            "invitation": [  # to join, and as who is in already sees it
                {"public_id": one.public_id, "token": invitations.token_of(one)}
                for one in (offered, invited)
            ],
            "dashboard:invoices": [invoices],
            "dashboard:invoice": [{**invoices, "public_id": invoice.public_id}],
            "dashboard:topup": [{**slug, "uuid": topup.uuid}],
            "dashboard:request_body": [{**slug, "public_id": request_log.public_id(shown[0])}],
            "dashboard:request": [
                {**slug, "public_id": request_log.public_id(one)} for one in requests
            ],
            "model_page": [
                {"name": name} for name in ("claude-sonnet-4-6", "claude-sonnet-4-5", "tts-1")
            ],
            "docs_page": [{"slug": slug} for slug in _docs()],
            "docs_search": [{"?": "?q=budget"}],
            "compare": [{"?": "?model=gpt-4o&model=claude-sonnet-4-6&model=gemini-2.5-pro"}],
            "catalog": [
                {},
                {"?": "?view=cards&kind=chat&in=2000&out=500"},
                {"?": "?page=2&kind=chat"},
            ],
            "docs_markdown": [{"slug": "quickstart"}],
            "legal": [{"page": "terms"}, {"page": "privacy"}],
        },
        sessions,
    )


_LEAKED_AT = "https://github.com/northwind/notebooks/blob/4c1d2f/tickets.ipynb"
_ASKED = '{"model": "claude-sonnet-4-6", "messages": [{"role": "user", "content": "Sum up the ticket."}]}'
_ANSWERED = '{"choices": [{"message": {"role": "assistant", "content": "A printer is on fire."}}]}'
_PEOPLE = (
    ("grace@northwind.example", Membership.Role.ADMIN),
    ("edsger@northwind.example", Membership.Role.DEVELOPER),
    ("barbara@northwind.example", Membership.Role.BILLING),
)


def _docs() -> Sequence[str]:
    from gateway.documentation import docs_pages

    return [slug for slug in docs_pages.SLUGS if slug != docs_pages.HOME]


def _offer(user: User) -> Invitation:
    """Store an invitation to an organization that the user is not in."""
    founder = Membership.objects.select_related("user", "organization").get(
        organization__slug=people.NEW_SLUG
    )
    return invitations.invite(
        founder.organization, email=user.email, role=Membership.Role.ADMIN, actor=founder.user
    )


def _join(organization: Organization, email: str, role: str) -> Membership:
    user = factories.make_user(email)
    return account_services.add_member(organization, user=user, role=role, actor=None)


def _make_keys(organization: Organization, owner: User) -> list[ApiKey]:
    def make(name: str, mode: str = "live", **rules: Any) -> ApiKey:
        made = key_services.create_key(
            organization,
            name=name,
            mode="test" if mode == "test" else "live",
            created_by=owner,
            rules=KeyRules(**rules),
        )
        return made.key

    return [
        make("prod-api", requests_per_minute=1_200, model_patterns=["gpt-4o*", "claude-*"]),
        make("support-agent", max_request_nanousd=USD // 2),
        make("nightly-batch", expires_at=timezone.now() + timedelta(days=20)),
        make("ci", mode="test"),
        make("old-laptop"),
        make("demo-notebook"),
    ]


def _set_budgets(organization: Organization, keys: Sequence[ApiKey], owner: User) -> None:
    """Give caps to what has been spent from already, so that the bars show something."""
    caps = {keys[0].pk: 12, keys[1].pk: 14, keys[2].pk: 40}
    for key in keys:
        if key.pk in caps:
            ApiKey.objects.filter(pk=key.pk).update(budget_month_nanousd=caps[key.pk] * USD)
    Organization.objects.filter(pk=organization.pk).update(budget_month_nanousd=100 * USD)
    for model, period, cap in (("gpt-4o", "month", 9), ("claude-sonnet-4-6", "day", 2)):
        key_services.set_model_budget(
            keys[0], model=model, period=period, cap_nanousd=cap * USD, actor=owner
        )
    key_services.revoke_key(keys[4], actor=owner)


def _leak(key: ApiKey, *, owner: User) -> None:
    """Store that a key was found in public, which its owner has read: others are told on the overview."""
    leaks.mark(key, place=_LEAKED_AT, source="a secret scanner (commit)", actor=None)
    notices.mark_read(key.organization, user=owner)


def _fill(keys: Sequence[ApiKey]) -> Any:
    """Store what else pages show: refusals and notifications; return the id of a refusal."""
    now = timezone.now()
    refusal = factories.make_refusal(
        keys[1],
        occurred_at=now - timedelta(hours=3),
        model="claude-sonnet-4-6",
        status=429,
        code="insufficient_quota",
        message="The monthly budget of this key has no room for this call.",
        advice="Lower max_completion_tokens to 1,204, or raise the budget of the key.",
        limit_kind="money",
        scope="key",
        period="month",
        cap_nanousd=14 * USD,
        posted_nanousd=13_700_000_000,
        held_nanousd=240_000_000,
        needed_nanousd=120_000_000,
        affordable_tokens=1_204,
        frees_at=now + timedelta(days=2),
    )
    factories.make_refusal(keys[0], occurred_at=now - timedelta(hours=30))
    factories.make_notification(keys[1])
    factories.make_notification(keys[0])
    return refusal.request_id


def _measure(now: datetime) -> None:
    """Store what the status page shows: probes of 80 days, with one bad hour, an incident, and how routes did."""
    minute = now.replace(second=0, microsecond=0)
    times = [minute - timedelta(hours=back) for back in range(1, 80 * 24)]
    # Until the pictures are taken, too: that can be an hour later, and what is old is "not known".
    times += [minute - timedelta(minutes=back) for back in range(-60, 5)]
    bad = minute - timedelta(days=23)
    ProbeMinute.objects.bulk_create(
        ProbeMinute(
            component=component,
            at=at,
            works=component != "api" or not bad - timedelta(hours=2) <= at <= bad,
            took_ms={"background": 0, "api": 6}.get(component, 1),
        )
        for component in ProbeMinute.Component.values
        for at in times
    )
    incident = Incident.objects.create(
        title="Calls to the API were answered slowly",
        impact=Incident.Impact.MAJOR,
        started_at=bad - timedelta(hours=2),
        resolved_at=bad,
    )
    for hours, state, body in _TOLD:
        incident.updates.create(at=bad - timedelta(hours=hours), state=state, body=body)
    dice = random.Random(3)
    counts = {
        route_key(route.provider.name, route.upstream_model): Counts(
            ok=dice.randrange(900, 4_000),
            failed=dice.randrange(0, 12),
            first_token_ms=400_000,
            first_tokens=dice.randrange(600, 1_800),
            output_tokens=500_000,
            output_ms=dice.randrange(4_000_000, 9_000_000),
        )
        for route in Route.objects.filter(model__name__in=[name for name, *_ in history.TRAFFIC])
        .exclude(provider__api="sandbox")
        .select_related("provider")
    }
    asyncio.run(_publish(counts))


_TOLD = (
    (
        2.0,
        IncidentUpdate.State.INVESTIGATING,
        "Answers of the API take longer than usual. We look into it.",
    ),
    (
        1.2,
        IncidentUpdate.State.IDENTIFIED,
        "One database host is short of memory; we move to its replica.",
    ),
    (
        0.0,
        IncidentUpdate.State.RESOLVED,
        "Answers are as fast as before. No call was charged twice or lost.",
    ),
)


async def _publish(counts: dict[str, Counts]) -> None:
    publisher = StatsPublisher()
    await publisher.publish(counts)
    await publisher.close()

"""
Every address of the site, asked with every method by everybody: who gets in, and who does not.

The addresses come from the URL table, so a new one is found by itself. Pages of an organization say who may come in
by their `organization_page(Action…)`: nothing to add here, unless the address names an object of a new kind (one row in
`OBJECTS`), or the POST wants fields to do its deed (one row in `BODIES`). A page outside of the dashboard needs one
row in `OPEN` or `SIGNED_IN`. The addresses of `/v1` are asked in `tests/gateway/test_urls.py`.
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from http.cookies import SimpleCookie
from typing import Any, cast

import pytest
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from accounts import invitations, services
from accounts.models import Invitation, Membership, Organization, User
from accounts.permissions import allows
from apikeys.models import ApiKey
from billing.models import Invoice, UsageEvent
from exerati.lib import ids
from tests import factories
from tests.cast import signed_in

pytestmark = pytest.mark.django_db
Role = Membership.Role
ANONYMOUS, OUTSIDER = "anonymous", "outsider"
ACTORS = (*Role.values, OUTSIDER, ANONYMOUS)
ASKED_ANYWHERE = (Role.OWNER, Role.VIEWER, OUTSIDER, ANONYMOUS)  # where no role is looked at
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")

# Pages outside of the dashboard that answer everybody alike, by name or else by route. Webhooks belong here, too:
# they look at a signature, never at the session.
OPEN = {
    "landing",
    "legal",
    "healthz",
    "invitation",  # its link is the right, see tests/accounts/test_invitations.py
    "readyz",
    "theme",
    "rows",
    "styleguide",
    "catalog",
    "model_page",
    "docs",
    "docs_page",
    "docs_markdown",
    "llms",
    "stripe_webhook",
    "leak_report",
    "compare",
    "catalog_json",
    "catalog_rss",
    "pricing",
    "status",
    "status_json",
    "docs_search",
    "docs_changelog_feed",
    "llms_full",
    "robots",
    "site_map",
}
# Pages that want somebody who is signed in, whoever it is.
SIGNED_IN = {
    "dashboard:home",
    "dashboard:organization_create",
    "dashboard:own_invoices",
    "dashboard:own_playground",
    "dashboard:own_billing",
}
# Addresses that begin so belong to packages, and have tests of their own below; those of the management API, which a
# key reads as well, are asked in tests/billing/test_management_api.py.
OF_PACKAGES = ("account/", "admin/", "api/")
OF_ALLAUTH = ("register", "login", "logout")  # the whole route, as in ENTRANCE
# Addresses of allauth for those who are not signed in yet, or who are in the middle of it.
ENTRANCE = {
    "account_login",
    "account_logout",
    "account_inactive",
    "account_signup",
    "account_email_verification_sent",
    "account_reset_password",
    "account_reset_password_done",
    "account_reset_password_from_key",
    "account_reset_password_from_key_done",
    "account_confirm_login_code",
    "google_login",
    "google_callback",
    "github_login",
    "github_callback",
    "socialaccount_login_cancelled",
    "socialaccount_login_error",
    "socialaccount_signup",
    "mfa_authenticate",
    "mfa_login_webauthn",
}
# What stands for the parameters of pages outside of the dashboard.
SAMPLES = {
    "<slug:page>": "terms",
    "<slug:slug>": "quickstart",
    "<path:name>": "sandbox/echo",
    "<int:pk>": "1",
    "^password/reset/key/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$": "password/reset/key/1-x/",
}


@dataclass(frozen=True, slots=True)
class World:
    """Acme with an object of each kind, and a browser for everybody."""

    acme: Organization
    globex: Organization
    key: ApiKey
    cookies: dict[str, SimpleCookie]


# The id of an object of acme that an address names, by the first word of the address's name.
OBJECTS: dict[str, Callable[[World], str]] = {
    "key": lambda world: world.key.public_id,
    "member": lambda world: _somebody(world).public_id,
    "request": lambda world: f"req_{ids.encode(_call(world).request_id)}",
    "topup": lambda world: str(world.acme.topups.create(net_cents=500).pk),
    "project": lambda world: world.acme.projects.create(name=str(ids.new_uuid())).public_id,
    "invoice": lambda world: _invoiced(world).public_id,
    "invitation": lambda world: _invited(world).public_id,
}
# What a POST sends, where an empty one is refused before its deed. By name, without `dashboard:`.
BODIES: dict[str, dict[str, str]] = {}


def _call(world: World) -> UsageEvent:
    """Return a call of acme whose body is kept."""
    event = factories.make_usage_event(world.key)
    factories.make_stored_body(event)
    return event


def _somebody(world: World) -> Membership:
    return services.add_member(world.acme, user=factories.make_user(), role=Role.VIEWER, actor=None)


def _invited(world: World) -> Invitation:
    owner = world.acme.memberships.get(role=Role.OWNER).user
    email = f"{ids.new_uuid()}@example.com"
    return invitations.invite(world.acme, email=email, role=Role.VIEWER, actor=owner)


def _invoiced(world: World) -> Invoice:
    month = next(_months)
    period = world.acme.billing_periods.create(
        period_start=month, period_end=month + timedelta(days=30), state="sealed"
    )
    return world.acme.invoices.create(period=period, state=Invoice.State.OPEN)


_months = (datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=31 * n) for n in itertools.count())


@dataclass(frozen=True, slots=True)
class Address:
    """One row of the URL table."""

    name: str
    route: str
    view: Any
    parameters: tuple[str, ...]

    @property
    def word(self) -> str:
        """The first word of the name, such as `key` of `dashboard:key_revoke`."""
        return self.name.removeprefix("dashboard:").partition("_")[0]


def addresses() -> list[Address]:
    """Return every address of the site."""
    return list(_walk(get_resolver("exerati.urls")))


def _walk(resolver: URLResolver, *, route: str = "", space: str = "") -> Iterator[Address]:
    for row in resolver.url_patterns:
        longer = route + str(row.pattern)
        if isinstance(row, URLPattern):
            name = f"{space}{row.name}" if row.name else longer
            yield Address(name, longer, row.callback, tuple(row.pattern.converters))
        else:
            inner = f"{space}{row.namespace}:" if row.namespace else space
            yield from _walk(row, route=longer, space=inner)


PAGES = [address for address in addresses() if hasattr(address.view, "action")]
OTHERS = [
    address
    for address in addresses()
    if not hasattr(address.view, "action")
    and not address.route.startswith(OF_PACKAGES)
    and address.route not in OF_ALLAUTH
]
ALLAUTH = [
    address
    for address in addresses()
    if address.route.startswith("account/") or address.route in OF_ALLAUTH
]
ADMIN = [
    address
    for address in addresses()
    if address.route.startswith("admin/")
    and not address.route.startswith("admin/hijack/")
    and address.name not in ("admin:login", "admin:logout", "admin:jsi18n")
]


@pytest.fixture
def world(db: None) -> World:
    """Return acme with a member of each role, and globex with the outsider as its owner."""
    owner, outsider = factories.make_user(), factories.make_user()
    acme = factories.make_organization("Acme", owner=owner)
    globex = factories.make_organization("Globex", owner=outsider)
    people = {Role.OWNER.value: owner, OUTSIDER: outsider}
    for role in Role.values[1:]:
        people[role] = factories.make_user()
        services.add_member(acme, user=people[role], role=role, actor=None)
    cookies = {actor: signed_in(user).cookies for actor, user in people.items()}
    cookies[ANONYMOUS] = SimpleCookie()
    key = factories.make_api_key(acme, name="prod-api").key
    factories.make_model()
    return World(acme, globex, key, cookies)


def ask(
    world: World, actor: str, method: str, path: str, data: dict[str, str] | None = None
) -> HttpResponseBase:
    """Return the answer to one request, and undo all that it did."""
    client = Client(raise_request_exception=True)
    client.cookies = SimpleCookie(world.cookies[actor].output(header="", sep=";"))
    with transaction.atomic():
        if method == "POST":
            answer = client.post(path, data or {})
        else:
            answer = client.generic(method, path)
        transaction.set_rollback(True)
    return cast(HttpResponseBase, answer)


def path_of(address: Address, world: World, *, organization: Organization) -> str:
    """Return the address as a path below an organization; its object is acme's."""
    path = "/" + address.route.replace("<slug:slug>", organization.slug)
    for parameter in address.parameters:
        if parameter == "slug" and "<slug:slug>" in address.route:
            continue
        if address.word not in OBJECTS:
            pytest.fail(f"{address.name}: add a row {address.word!r} to OBJECTS")
        path = "".join(_filled(path, OBJECTS[address.word](world)))
    return path


def _filled(path: str, value: str) -> Iterator[str]:
    before, _, rest = path.partition("<")
    yield from (before, value, rest.partition(">")[2])


def outcome(answer: HttpResponseBase) -> str:
    """Return in one word what became of a request."""
    if answer.status_code == 302 and answer["Location"].startswith(("/login", "/admin/login")):
        return "sign in"
    words = {401: "unauthorized", 403: "forbidden", 404: "not there", 405: "no such method"}
    return words.get(answer.status_code, "broken" if answer.status_code == 500 else "in")


def expected_of_page(address: Address, actor: str) -> str:
    """Return what somebody may expect of a page of acme by the action that its view declares."""
    if actor == ANONYMOUS:
        return "sign in"
    if actor == OUTSIDER:
        return "not there"
    return "in" if allows(actor, address.view.action) else "forbidden"


def surprises_of(
    world: World, address: Address, path: str, expect: Callable[[str], str]
) -> Iterator[str]:
    """Yield a line for every answer that is not as expected, and one if no method does anything."""
    data = BODIES.get(address.name.removeprefix("dashboard:"))
    told_owner = {method: outcome(ask(world, Role.OWNER, method, path, data)) for method in METHODS}
    served = [method for method, told in told_owner.items() if told != "no such method"]
    for method in served:
        for actor in ACTORS:
            known = told_owner[method] if actor == Role.OWNER else ""
            got = known or outcome(ask(world, actor, method, path, data))
            if got != expect(actor):
                yield f"{method} {path} ({address.name}) as {actor}: {got}, not {expect(actor)}"
    if not served:
        yield f"{address.name} has no method at all"


def test_there_are_addresses_of_every_kind():
    assert {page.view.action for page in PAGES} >= {"see this page", "change the team"}
    assert len(PAGES) >= 20
    assert len(ALLAUTH) > 20
    assert len(ADMIN) > 100


def test_every_page_below_an_organization_goes_through_the_door():
    below = [
        address.name for address in OTHERS if address.route.startswith("dashboard/<slug:slug>")
    ]

    assert below == []


def test_pages_of_an_organization_are_open_to_whom_their_action_says(world):
    surprises = [
        surprise
        for address in PAGES
        for surprise in surprises_of(
            world,
            address,
            path_of(address, world, organization=world.acme),
            partial(expected_of_page, address),
        )
    ]

    assert surprises == []


def test_objects_of_another_organization_are_not_there(world):
    """The outsider, who owns globex, asks for acme's objects below an address of globex."""
    got = {}
    for address in PAGES:
        if len(address.parameters) > 1:
            path = path_of(address, world, organization=world.globex)
            answers = {outcome(ask(world, OUTSIDER, method, path)) for method in ("GET", "POST")}
            got[address.name] = answers - {"no such method"}

    assert {name: answers for name, answers in got.items() if answers != {"not there"}} == {}
    assert got


def test_other_pages_are_open_to_all_or_to_those_who_are_signed_in(world):
    surprises = []
    for address in OTHERS:
        if address.name not in OPEN | SIGNED_IN:
            pytest.fail(f"{address.name}: add a row to OPEN or SIGNED_IN")
        path = _with_samples(address.route)
        for method in ("GET", "POST"):
            answers = {actor: outcome(ask(world, actor, method, path)) for actor in ASKED_ANYWHERE}
            wanted = "sign in" if address.name in SIGNED_IN else answers[Role.OWNER]
            if answers[Role.OWNER] != "no such method" and answers.pop(ANONYMOUS) != wanted:
                surprises.append(f"{method} {path} as a visitor: not {wanted}")
            if len(set(answers.values())) > 1 or "broken" in answers.values():
                surprises.append(f"{method} {path}: {answers}")

    assert surprises == []


def _with_samples(route: str) -> str:
    for parameter, sample in SAMPLES.items():
        route = route.replace(parameter, sample)
    return f"/{route}"


def test_account_pages_are_for_those_who_are_signed_in(world):
    closed = ("sign in", "no such method")
    let_in = [
        f"{method} {address.name}"
        for address in ALLAUTH
        for method in ("GET", "POST")
        if address.name not in ENTRANCE
        and outcome(ask(world, ANONYMOUS, method, _with_samples(address.route))) not in closed
    ]

    assert let_in == []


@pytest.mark.parametrize("actor", ["a member", "staff without a second factor", ANONYMOUS])
def test_the_admin_is_for_staff_alone(actor, rf, settings):
    """Each view is called without the middleware, which is faster by far: it has to keep the door by itself."""
    settings.STAFF_NEED_SECOND_FACTOR = True
    user = {
        "a member": User(is_active=True),
        "staff without a second factor": factories.make_user(is_staff=True, is_superuser=True),
        ANONYMOUS: AnonymousUser(),
    }[actor]
    let_in = []
    for address in ADMIN:
        for method in ("GET", "POST"):
            request = rf.generic(method, f"/{address.route}")
            request.user, request.session = user, {}
            request._dont_enforce_csrf_checks = (
                True  # what keeps out is to be the door, not a missing token
            )
            if not _is_kept_out(address, request):
                let_in.append(f"{method} {address.route}")

    assert let_in == []


def _is_kept_out(address: Address, request: HttpRequest) -> bool:
    arguments = dict.fromkeys(address.parameters, "1")
    try:
        answer = address.view(request, **arguments)
    except (PermissionDenied, Http404):
        return True
    return outcome(answer) in ("sign in", "forbidden", "no such method")


@pytest.mark.parametrize("path", ["/admin/hijack/acquire/", "/admin/hijack/release/"])
def test_nobody_but_staff_becomes_somebody_else(world, path):
    target = {"user_pk": str(factories.make_user().pk)}

    got = {actor: outcome(ask(world, actor, "POST", path, target)) for actor in ACTORS}

    assert got.pop(ANONYMOUS) in ("sign in", "forbidden")
    assert set(got.values()) == {"forbidden"}

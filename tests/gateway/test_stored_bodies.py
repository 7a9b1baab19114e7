"""Bodies of requests: never by default; where switched on redacted, sealed, read by few, and gone after their time."""

import json
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from accounts import services
from accounts.models import AuditEvent, Organization
from billing.bodies import stored_bodies
from billing.models import StoredBody
from billing.read_models.request_log import public_id
from gateway.stream_text import assembled
from tests import factories
from tests.upstream import wait_until

EMAIL = "canary@secret.example"
SECRET = "sk-canary-0123456789abcdef"
PROMPT = f"Write to {EMAIL} with {SECRET}"


@pytest.fixture
def switched_on(shop):
    """A key of the shop's organization, which keeps bodies for a week."""
    owner = shop.organization.memberships.get().user
    stored_bodies.change_days(shop.organization, days=7, actor=owner)
    shop.organization.refresh_from_db()
    return shop.make_key()  # one that the gateway has not seen yet


def kept(shop):
    """Return the one stored body of the organization, once it is there."""
    mine = StoredBody.objects.filter(organization=shop.organization)
    wait_until(mine.exists)
    return mine.get()


def opened(shop, row):
    return stored_bodies.read(shop.organization, row.request_id, now=timezone.now())


def member(shop, *, role):
    user = factories.make_user()
    services.add_member(shop.organization, user=user, role=role, actor=None)
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def body_path(shop, row):
    return f"/dashboard/{shop.organization.slug}/requests/{public_id(row.request_id)}/body/"


def ask(shop, key, **fields):
    body = {"model": shop.model, "messages": [{"role": "user", "content": PROMPT}], **fields}
    answer = shop.gateway.request("POST", "/v1/chat/completions", key=key, body=body)
    assert answer.status == 200, answer.body
    return answer


def test_nothing_is_stored_by_default(shop):
    ask(shop, shop.secret)
    other = factories.make_organization()
    factories.make_credit(other)
    stored_bodies.change_days(other, days=1, actor=other.memberships.get().user)
    second = factories.make_api_key(other).secret

    ask(shop, second)

    wait_until(StoredBody.objects.filter(organization=other).exists)
    assert not StoredBody.objects.filter(organization=shop.organization).exists()


@pytest.mark.parametrize("stream", [False, True])
def test_body_is_redacted_and_sealed(shop, switched_on, stream):
    """The answer's canary comes in two pieces of a stream, so that neither holds it."""
    shop.script(pieces=("Ask can", "ary@secret.example or sk-canary-", "0123456789abcdef."))

    ask(shop, switched_on, stream=stream)

    row = kept(shop)
    body = opened(shop, row)
    for canary in (EMAIL, SECRET):
        assert canary not in body.request + body.answer
        assert canary.encode() not in bytes(row.sealed)
    assert "Write to [redacted email] with [redacted key]" in body.request
    assert "Ask [redacted email] or [redacted key]" in body.answer
    assert b"Write to" not in bytes(row.sealed)
    assert abs(row.expires_at - row.stored_at - timedelta(days=7)) < timedelta(seconds=1)


def test_refused_call_leaves_no_body(shop, switched_on):
    Organization.objects.filter(pk=shop.organization.pk).update(budget_month_nanousd=0)
    body = {"model": shop.model, "messages": [{"role": "user", "content": PROMPT}]}

    answer = shop.gateway.request("POST", "/v1/chat/completions", key=switched_on, body=body)
    Organization.objects.filter(pk=shop.organization.pk).update(budget_month_nanousd=None)
    second = ask(shop, switched_on)

    assert answer.status == 429
    assert public_id(kept(shop).request_id) == second.headers["x-request-id"]


def test_only_some_roles_read_a_body_and_only_the_organizations_own(shop, switched_on):
    ask(shop, switched_on)
    row = kept(shop)
    stranger = Client()
    stranger.force_login(
        factories.make_organization().memberships.get().user,
        backend="django.contrib.auth.backends.ModelBackend",
    )
    path = body_path(shop, row)

    told = {role: member(shop, role=role).get(path).status_code for role in ROLES}

    assert told == {"owner": 200, "admin": 200, "developer": 200, "billing": 403, "viewer": 403}
    assert stranger.get(path).status_code == 404


ROLES = ("owner", "admin", "developer", "billing", "viewer")


def test_look_by_our_staff_is_in_the_customers_audit_trail(shop, switched_on):
    ask(shop, switched_on)
    row = kept(shop)
    client = member(shop, role="admin")
    client.get(body_path(shop, row))
    assert not AuditEvent.objects.filter(action="body.viewed_by_staff").exists()
    boss = factories.make_user(is_staff=True, is_superuser=True)
    staff = Client()
    staff.force_login(boss, backend="django.contrib.auth.backends.ModelBackend")
    owner = shop.organization.memberships.order_by("pk").first().user
    staff.post("/admin/hijack/acquire/", {"user_pk": owner.pk, "next": "/"})

    assert staff.get(body_path(shop, row)).status_code == 200

    event = AuditEvent.objects.get(organization=shop.organization, action="body.viewed_by_staff")
    assert (event.actor, event.target) == (boss, public_id(row.request_id))


def test_body_is_unreadable_after_its_time_and_then_gone(shop, switched_on):
    ask(shop, switched_on)
    row = kept(shop)
    late = row.expires_at + timedelta(seconds=1)
    assert opened(shop, row) is not None

    assert stored_bodies.read(shop.organization, row.request_id, now=late) is None
    stored_bodies.prune(row.expires_at - timedelta(seconds=1))
    assert StoredBody.objects.filter(pk=row.pk).exists()
    assert stored_bodies.prune(late) >= 1
    assert not StoredBody.objects.filter(organization=shop.organization).exists()


def test_switching_off_deletes_everything_and_stores_nothing_that_still_waits(shop, switched_on):
    ask(shop, switched_on)
    kept(shop)
    owner = shop.organization.memberships.get().user

    stored_bodies.change_days(shop.organization, days=0, actor=owner)
    ask(shop, switched_on)  # the gateway may not know of the change yet
    other = factories.make_organization()
    factories.make_credit(other)
    stored_bodies.change_days(other, days=1, actor=other.memberships.get().user)
    ask(shop, factories.make_api_key(other).secret)
    wait_until(StoredBody.objects.filter(organization=other).exists)

    assert not StoredBody.objects.filter(organization=shop.organization).exists()
    events = AuditEvent.objects.filter(
        organization=shop.organization, action="bodies.days_changed"
    ).order_by("pk")
    assert [event.details for event in events] == [{"from": 0, "to": 7}, {"from": 7, "to": 0}]


def test_body_of_another_request_cannot_be_put_in_its_place(shop, switched_on):
    for _ in range(2):
        ask(shop, switched_on)
    mine = StoredBody.objects.filter(organization=shop.organization)
    wait_until(lambda: mine.count() == 2)
    first, second = mine.all()

    mine.filter(pk=first.pk).update(sealed=second.sealed)

    assert opened(shop, first) is None


@pytest.mark.parametrize(
    ("stream", "texts"),
    [
        (
            b'data: {"choices":[{"index":0,"delta":{"content":"a@b"}}]}\n\ndata: {"choices":[{"index":0,'
            b'"delta":{"content":".example"}}]}\n\ndata: [DONE]\n\n',
            {"content 0": "a@b.example"},
        ),
        (
            b'event: x\ndata: {"type":"response.output_text.delta","delta":"He"}\n\n'
            b'data: {"type":"response.output_text.delta","delta":"llo"}\n\n',
            {"response.output_text 0": "Hello"},
        ),
        (
            b'data: {"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta",'
            b'"partial_json":"{\\"a\\""}}\n\n',
            {"partial_json 1": '{"a"'},
        ),
        (b"data: {broken\n\n: ping\n\n", {}),
    ],
)
def test_text_of_a_stream_is_put_together_before_anything_is_taken_out(stream, texts):
    found = json.loads(assembled(stream))

    assert {name: found[name] for name in texts} == texts
    assert set(found) == {"streamed", "usage", *texts}

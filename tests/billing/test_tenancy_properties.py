"""
What an organization sees is the same whether or not another one exists, whatever that one does; and nothing of the
other is found from it.

`EXERATI_SEEDS=50` plays more histories of the other.
"""

import os
import random
import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import Organization
from apikeys.models import Endpoint
from billing import aggregation, plans
from billing.models import Invoice, OutboxMessage
from billing.read_models import request_log
from tests import factories
from tests.billing.calls import Payer
from tests.billing.owing import CENT, NOVEMBER, close_month, use

pytestmark = pytest.mark.django_db
SEEDS = int(os.environ.get("EXERATI_SEEDS", "1"))
RANGED = ("usage", "usage/requests")  # of the management API; the others tell of now
PATHS = (*RANGED, "balance", "ledger", "keys")
FILES = ("usage_csv", "ledger_csv", "audit_csv")
PAGES = (
    *("overview", "usage", "requests", "keys", "projects", "team", "audit", "limits"),
    *("notifications", "billing", "invoices", "ledger", "billing_settings", "settings"),
)
MARK = "secretive"  # in every name of the other


class Other:
    """The other organization: what it does, and the public ids of all that it has."""

    def __init__(self, organization: Organization, seed: int) -> None:
        self.organization, self.dice = organization, random.Random(seed)
        self.ids = {organization.public_id, organization.slug}
        self.price = factories.make_price(f"{MARK}/model")
        self.payer = self._key()

    def _key(self) -> Payer:
        key = factories.make_api_key(self.organization, name=f"{MARK} key").key
        self.ids.add(key.public_id)
        return Payer(self.organization, key, self.price)

    def make_key(self) -> None:
        self.payer = self._key()

    def call(self) -> None:
        made = factories.make_usage_event(
            self.payer.key,
            price=self.price,
            model=f"{MARK}/model",
            tags=[MARK],
            client_request_id=MARK,
        )
        self.ids |= {request_log.public_id(made.request_id), str(made.request_id)}
        OutboxMessage.objects.create(
            request_id=made.request_id, occurred_at=made.occurred_at, organization=made.organization
        )

    def roll_up(self) -> None:
        aggregation.roll_up()

    def be_refused(self) -> None:
        factories.make_refusal(self.payer.key, model=f"{MARK}/model")

    def be_told(self) -> None:
        factories.make_notification(self.payer.key)

    def be_given_credit(self) -> None:
        factories.make_credit(self.organization, usd=str(self.dice.randint(1, 9)))

    def owe(self) -> None:
        if plans.account(self.organization).plan == "postpaid":
            return
        plans.switch(self.organization, plan="postpaid", reason=MARK, actor=None, now=NOVEMBER)
        use(
            self.payer,
            self.dice.randint(100, 900) * CENT,
            at=NOVEMBER + timedelta(days=3),
            model=f"{MARK}/model",
        )
        self.ids.add(close_month(self.organization).public_id)

    def act(self) -> None:
        acts: tuple[Callable[[], None], ...] = (
            *(self.make_key, self.call, self.call, self.roll_up),
            *(self.be_refused, self.be_told, self.be_given_credit, self.owe),
        )
        self.dice.choice(acts)()


@pytest.fixture
def acme_with_everything(acme: Organization, acme_key: Any) -> Organization:
    """Acme with credit, calls (some summed, some not), a refusal, a notification and an invoice."""
    payer = Payer(acme, acme_key.key, factories.make_price())
    factories.make_credit(acme, usd="7")
    plans.switch(acme, plan="postpaid", reason="test", actor=None, now=NOVEMBER)
    use(payer, 300 * CENT, at=NOVEMBER + timedelta(days=2))
    close_month(acme)
    aggregation.roll_up()
    use(payer, 5 * CENT, at=timezone.now())
    factories.make_refusal(acme_key.key)
    factories.make_notification(acme_key.key)
    return acme


def seen(
    alice: Client, secret: str, acme: Organization, until: datetime
) -> Iterator[tuple[str, bytes]]:
    """Yield all that acme gets as data, in ranges that end at a moment: what follows is its own next call."""
    range_ = {"start": NOVEMBER.isoformat(), "end": until.isoformat()}
    for path in PATHS:
        answer = alice.get(
            f"/api/{path}",
            range_ if path in RANGED else {},
            headers={"authorization": f"Bearer {secret}"},
        )
        assert answer.status_code == 200, (path, answer.content)
        # Its own last use is that of this very question.
        yield path, re.sub(rb'"last_used_at":"[^"]*"', b"", answer.content)
    invoice = Invoice.objects.get(organization=acme)
    for name in FILES:
        yield name, contents(alice, reverse(f"dashboard:{name}", args=[acme.slug]))
    yield (
        "invoice",
        contents(alice, reverse("dashboard:invoice_csv", args=[acme.slug, invoice.public_id])),
    )


def contents(client: Client, url: str) -> bytes:
    answer = client.get(url)
    assert answer.status_code == 200, url
    return answer.getvalue()


@pytest.mark.parametrize("seed", range(SEEDS))
def test_nothing_of_another_organization_shows_or_changes_what_is_seen(
    seed: int, acme_with_everything: Organization, globex: Organization, alice_client: Client
) -> None:
    acme = acme_with_everything
    reader = factories.make_api_key(acme, name="reader", endpoints=[Endpoint.MANAGEMENT])
    until = timezone.now()
    before = dict(seen(alice_client, reader.secret, acme, until))
    globex.name = f"{MARK} company"
    globex.save()
    other = Other(globex, seed)

    for _ in range(12):
        other.act()

    assert dict(seen(alice_client, reader.secret, acme, until)) == before
    for name in PAGES:
        page = contents(alice_client, reverse(f"dashboard:{name}", args=[acme.slug])).decode()
        assert MARK not in page, name
        assert [one for one in other.ids if one in page] == [], name
    for name, kinds in (("key", "key_"), ("request", "req_"), ("invoice", "inv_")):
        for one in other.ids:
            if one.startswith(kinds):
                url = reverse(f"dashboard:{name}", args=[acme.slug, one])
                assert alice_client.get(url).status_code == 404, url
    for name in PAGES:
        assert alice_client.get(reverse(f"dashboard:{name}", args=[globex.slug])).status_code == 404

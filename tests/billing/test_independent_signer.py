"""The receiver of webhooks against a signer that is not ours: localstripe, where it is installed."""

import socket

import pytest

from billing.models import StripeEvent
from tests.billing import localstripe
from tests.stripe_cast import WEBHOOK_SECRET
from tests.upstream import wait_until

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(
        not localstripe.COMMAND.exists(),
        reason="localstripe is installed by `.venv/bin/python -m tests.billing.localstripe`",
    ),
]


@pytest.fixture
def signer(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with localstripe.running(tmp_path, port=port) as started:
        wait_until(lambda: answers(port))
        yield started


def answers(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_events_of_an_independent_signer_are_taken_and_forged_ones_are_not(
    signer, live_server, settings
):
    settings.STRIPE_SECRET_KEY, settings.STRIPE_WEBHOOK_SECRET = "sk_test_1", WEBHOOK_SECRET
    url = f"{live_server.url}/stripe/webhook"
    signer.tell("ours", url=url, secret=WEBHOOK_SECRET)
    customer = signer.make_customer()
    wait_until(lambda: StripeEvent.objects.filter(object_id=customer).exists())
    wait_until(lambda: "successfully delivered" in signer.log)

    signer.tell("ours", url=url, secret="whsec_forged")
    forged = signer.make_customer()
    wait_until(lambda: "failed with response code 400" in signer.log)

    stored = StripeEvent.objects.get(object_id=customer)
    assert stored.kind == "customer.created"
    assert not StripeEvent.objects.filter(object_id=forged).exists()

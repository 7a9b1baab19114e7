"""The billing page: what an organization has, for those who may see it."""

import re

import pytest
from django.urls import reverse

from tests import factories

pytestmark = pytest.mark.django_db


def text_of(answer):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.content.decode()))


def test_balance_is_shown_with_what_is_available(alice_client, acme):
    factories.make_credit(acme, usd="12.50")

    words = text_of(alice_client.get(reverse("dashboard:billing", args=["acme"])))

    assert "$12.50" in words
    assert "Available" in words


def test_rail_leads_to_billing(alice_client):
    html = alice_client.get(reverse("dashboard:overview", args=["acme"])).content.decode()

    assert 'href="/dashboard/acme/billing/"' in html

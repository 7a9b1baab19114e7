"""Two beats, two workers, one notification: checks that run at the same moment tell nothing twice."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.core import mail
from django.db import connections, transaction
from django.utils import timezone

from apikeys.models import ApiKey
from billing.alerting import alert_mail, alerts
from billing.models import Budget, ChangedSpend, Notification
from tests import factories

pytestmark = pytest.mark.django_db(transaction=True)
AT_ONCE = 8


@pytest.fixture
def organization(transactional_db):
    """An organization whose wallet's total budget is used at 80 %."""
    organization = factories.make_organization(budget_total_nanousd=1_000)
    factories.make_credit(organization)
    key = factories.make_api_key(organization).key
    ApiKey.objects.filter(pk=key.pk).update(last_used_at=timezone.now())
    Budget.objects.filter(scope="wallet").update(posted_nanousd=800)
    ChangedSpend.objects.create(organization=organization)
    return organization


def at_once(work):
    """Do the work in several threads at the same moment, each with a connection of its own; return the results."""
    ready = Barrier(AT_ONCE)

    def run(number):
        ready.wait(30)
        try:
            return work()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(run, range(AT_ONCE)))


def test_checks_at_the_same_moment_tell_once(organization):
    now = timezone.now()

    told = at_once(lambda: alerts.check(organization.pk, now=now))

    assert sum(map(len, told)) == 1
    assert Notification.objects.count() == 1
    assert alerts.waiting() == []


def test_same_occasion_stored_at_the_same_moment_is_stored_once(organization):
    """Even without the mark that only one check can take."""
    now = timezone.now()

    def mark_and_check():
        ChangedSpend.objects.get_or_create(organization=organization)
        return alerts.check(organization.pk, now=now)

    told = at_once(mark_and_check)

    assert sum(map(len, told)) == Notification.objects.count() == 1


def test_mail_is_sent_once_by_tasks_at_the_same_moment(organization):
    [notice] = alerts.check(organization.pk, now=timezone.now())
    Notification.objects.update(mailed_at=None)
    mail.outbox.clear()

    sent = at_once(lambda: alert_mail.send(notice.pk))

    assert sum(sent) == len(mail.outbox) == 1


def test_change_during_a_check_is_looked_at_afterwards(organization):
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            alerts.check(organization.pk, now=timezone.now())
            marked = pool.submit(_mark, organization.pk)  # waits for the check to end
        marked.result(30)

    assert alerts.waiting() == [organization.pk]


def _mark(organization_id):
    try:
        with connections["default"].cursor() as cursor:
            cursor.execute(
                "INSERT INTO billing_changedspend AS c (organization_id) VALUES (%s)"
                " ON CONFLICT (organization_id) DO UPDATE SET organization_id = c.organization_id",
                [organization_id],
            )
    finally:
        connections.close_all()

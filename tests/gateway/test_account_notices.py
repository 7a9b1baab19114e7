"""Staff are mailed once when a provider begins to refuse an account of ours, and again after it was put right."""

from datetime import UTC, datetime, timedelta

import pytest
from django.core import mail

from gateway.models import AccountNotice
from gateway.routes import account_notices
from tests import factories

NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)

pytestmark = pytest.mark.django_db


@pytest.fixture
def staff():
    return [
        factories.make_user(email=f"{name}@staff.example", is_staff=True) for name in ("eve", "ann")
    ]


def notice(provider, **fields):
    values = {"account": "second", "reason": "quota", "message": "Your balance is too low."}
    return AccountNotice.objects.create(
        provider=provider, first_at=NOW, last_at=NOW, **{**values, **fields}
    )


def test_an_account_that_runs_dry_is_mailed_to_all_staff_once(staff):
    provider = factories.make_provider(title="Acme AI")
    notice(provider)

    told = [account_notices.tell_staff(NOW), account_notices.tell_staff(NOW + timedelta(hours=1))]

    assert told == [1, 0]
    [letter] = mail.outbox
    assert letter.to == ["ann@staff.example", "eve@staff.example"]
    assert letter.subject == "Acme AI refuses our account: out of credit or quota"
    assert "account second" in letter.body
    assert "Your balance is too low." in letter.body
    assert "/admin/gateway/accountnotice/" in letter.body


def test_a_refusal_after_the_notice_was_resolved_is_told_again(staff):
    provider = factories.make_provider()
    notice(provider)
    account_notices.tell_staff(NOW)
    AccountNotice.objects.update(resolved_at=NOW)
    notice(provider)

    assert account_notices.tell_staff(NOW) == 1
    assert len(mail.outbox) == 2


def test_many_refusals_are_one_mail_and_what_is_resolved_is_none(staff):
    provider = factories.make_provider()
    notice(provider)
    notice(provider, reason="auth")
    notice(provider, account="third", resolved_at=NOW)

    assert account_notices.tell_staff(NOW) == 2
    assert [letter.subject for letter in mail.outbox] == ["Providers refuse 2 accounts of ours"]


def test_a_mail_that_cannot_be_sent_is_sent_the_next_time(staff, settings):
    notice(factories.make_provider())
    settings.EMAIL_BACKEND = "tests.gateway.test_account_notices.Broken"
    with pytest.raises(OSError, match="no mail server"):
        account_notices.tell_staff(NOW)
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"

    assert account_notices.tell_staff(NOW) == 1


def test_without_staff_the_notice_waits_for_them():
    found = notice(factories.make_provider())

    assert account_notices.tell_staff(NOW) == 0
    found.refresh_from_db()
    assert found.told_at is None


class Broken:
    """A mail backend that cannot be reached."""

    def __init__(self, *_, **__):
        pass

    def send_messages(self, messages):
        raise OSError("no mail server")

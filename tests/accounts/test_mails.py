"""The mails that accounts send: short, with the code where a phone shows it."""

import re
from datetime import UTC, datetime
from html import unescape

import pytest
from django.core.mail import EmailMultiAlternatives
from django.urls import reverse

from accounts.adapters import AccountAdapter
from exerati.settings.env import BASE_DIR

pytestmark = pytest.mark.django_db


def test_code_is_in_the_subject_and_in_the_text(client, mailoutbox):
    client.post(
        reverse("account_signup"),
        {
            "email": "dana@example.com",
            "password1": "a long enough pass",
            "organization": "Dana & Co",
        },
    )

    [mail] = mailoutbox
    code = re.fullmatch(r"(\d{6}) is your Exerati code", mail.subject)
    assert code, mail.subject
    assert code[1] in mail.body
    assert "&amp;" not in mail.body
    assert "testserver" not in mail.subject + mail.body


TEMPLATES = BASE_DIR / "templates"
NOTICES = sorted(
    str(path.relative_to(TEMPLATES)).removesuffix("_subject.txt")
    for path in TEMPLATES.glob("*/email/*_subject.txt")
)


def test_there_are_mails_about_accounts():
    assert len(NOTICES) >= 16


@pytest.mark.parametrize("name", NOTICES)
def test_every_mail_about_an_account_has_plain_words_and_an_html_twin(rf, alice, name):
    context = {
        "user": alice,
        "ip": "198.51.100.7",
        "user_agent": "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0",
        "timestamp": datetime(2026, 11, 28, 7, 30, tzinfo=UTC),
        "code": "123456",
        "email": "dora@acme.example",
        "activate_url": "https://evil.example/confirm/x",
        "password_reset_url": "https://evil.example/account/password/reset/",
        "signup_url": "https://evil.example/register",
        "from_email": "old@acme.example",
        "to_email": alice.email,
    }

    mail = AccountAdapter(rf.get("/")).render_mail(name, alice.email, context)

    assert isinstance(mail, EmailMultiAlternatives)
    [(html, kind)] = mail.alternatives
    subject, html = str(mail.subject), str(html)
    assert kind == "text/html"
    assert "Exerati" in subject
    assert not subject.istitle()
    assert "<h1" in html
    assert subject in unescape(html)
    for text in (str(mail.body), html):
        assert "evil.example" not in text
        assert "example.com" not in text
        assert "{{" not in text
        assert "Mozilla" not in text


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("account/email/email_confirmation", ">123456</code>"),
        ("account/email/password_reset_key", ">Choose a new password</a>"),
        ("account/email/unknown_account", ">Make an account</a>"),
    ],
)
def test_what_a_mail_is_for_stands_out_in_its_html(rf, alice, name, shown):
    urls = {"password_reset_url": "https://x.example/reset?a=1&b", "signup_url": "https://x/join"}
    context = {"user": alice, "code": "123456", "email": "dora@acme.example", **urls}

    mail = AccountAdapter(rf.get("/")).render_mail(name, alice.email, context)

    assert isinstance(mail, EmailMultiAlternatives)
    html = str(mail.alternatives[0][0])
    assert shown in html
    assert "<p>Exerati" not in html.replace('style="margin:0 0 16px"', "").replace("<p >", "<p>")


def test_every_mail_of_ours_stands_on_the_same_frame():
    templates = sorted((BASE_DIR / "templates/emails").glob("*.html"))

    assert len(templates) >= 6
    for path in templates:
        if path.name != "base.html":
            assert path.read_text().startswith('{% extends "emails/base.html" %}'), path.name
            if path.name != "plain.html":
                assert path.with_suffix(".txt").exists()
                assert path.with_name(f"{path.stem}.subject.txt").exists()

"""The mails that accounts send: short, with the code where a phone shows it."""

import re

import pytest
from django.urls import reverse

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

"""Operator commands, as a shell script uses them."""

import io
import json

import pytest
from allauth.account.models import EmailAddress
from django.core.management import call_command
from django.core.management.base import CommandError

from accounts.models import Organization, User
from apikeys import keys
from apikeys.models import ApiKey
from billing import wallet
from exerati.lib import money

pytestmark = pytest.mark.django_db


def run(*words):
    """Return what `manage.py <words> --json` prints."""
    output = io.StringIO()
    call_command(*words, "--json", stdout=output)
    return json.loads(output.getvalue())


def test_an_organization_is_made_and_listed(alice):
    made = run("org", "create", "Initech", "--owner", alice.email)

    [listed] = run("org", "list")
    assert (made["slug"], made["owner"], made["owner_created"]) == ("initech", alice.email, False)
    assert listed["id"] == made["id"]
    assert listed["members"] == 1


def test_an_owner_nobody_knows_is_made_without_a_password():
    made = run("org", "create", "Initech", "--owner", "dora@initech.example")

    user = User.objects.get()
    assert made["owner_created"]
    assert not user.has_usable_password()
    assert EmailAddress.objects.get(user=user).verified


def test_an_owner_that_is_no_address_is_refused():
    with pytest.raises(CommandError, match="valid email"):
        run("org", "create", "Initech", "--owner", "dora")


def test_a_key_is_made_with_every_rule_and_its_secret_parses(acme):
    made = run(
        *("key", "create", "--organization", "acme", "--name", "prod", "--mode", "live"),
        *("--models", "gpt-*", "sandbox/echo", "--endpoints", "chat.completions"),
        *("--modalities", "chat", "--ip", "10.0.0.0/8", "--expires", "2030-01-31"),
        *("--rpm", "60", "--tpm", "1000", "--concurrency", "3", "--max-output-tokens", "100"),
        *("--budget-day", "1", "--budget-week", "2.5", "--budget-month", "50"),
        *("--budget-total", "100", "--max-request", "0.25", "--strict"),
    )

    key = acme.api_keys.get()
    assert keys.parse(made["api_key"]).mode == "live"
    assert made["budget_week_usd"] == "2.5"
    assert made["expires_at"] == "2030-01-31T00:00:00Z"
    assert key.model_patterns == ["gpt-*", "sandbox/echo"]
    assert (key.endpoints, key.modalities) == (["chat.completions"], ["chat"])
    assert key.ip_allow_list == ["10.0.0.0/8"]
    assert (key.requests_per_minute, key.tokens_per_minute, key.concurrency) == (60, 1000, 3)
    assert key.budget_total_nanousd == 100 * money.NANOUSD_PER_USD
    assert key.max_request_nanousd == money.parse_usd("0.25")
    assert key.max_output_tokens == 100
    assert key.strict_parameters


def test_a_key_made_with_no_options_is_not_limited(acme):
    run("key", "create", "--organization", "acme", "--name", "k")

    key = acme.api_keys.get()
    assert key.budget_month_nanousd is None
    assert key.model_patterns == []


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--organization", "nobody", "--name", "k"], "no organization nobody"),
        (["--organization", "acme", "--name", "k", "--project", "x"], "no project x"),
        (["--organization", "acme", "--name", "k", "--budget-day", "-1"], "below zero"),
        (["--organization", "acme", "--name", "k", "--budget-day", "many"], "not an amount"),
        (["--organization", "acme", "--name", "k", "--expires", "soon"], "no date"),
        (["--organization", "acme", "--name", "k", "--models", "a b"], "model_patterns"),
        (["--organization", "acme", "--name", "k", "--rpm", "0"], "requests_per_minute"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(acme, words, says):
    with pytest.raises(CommandError, match=says):
        run("key", "create", *words)

    assert not ApiKey.objects.exists()


def test_keys_are_listed_without_secrets_and_revoked_by_id(acme_key, globex_key):
    listed = run("key", "list", "--organization", "acme")
    revoked = [run("key", "revoke", acme_key.key.public_id) for _ in range(2)]

    assert [row["id"] for row in listed] == [acme_key.key.public_id]
    assert len(run("key", "list")) == 2
    assert acme_key.secret not in json.dumps(listed)
    assert [row["status"] for row in revoked] == ["revoked", "revoked"]


def test_a_key_nobody_knows_cannot_be_revoked():
    with pytest.raises(CommandError, match="no key key_1"):
        run("key", "revoke", "key_1")


def test_credit_is_granted_as_often_as_asked_but_once_by_one_word(acme):
    words = ("wallet", "grant", "--organization", "acme", "--reason", "sorry", "--amount")

    run(*words, "25.00")
    run(*words, "25.00")
    run(*words, "1", "--once", "incident-7")
    answer = run(*words, "1", "--once", "incident-7")

    assert answer["balance_usd"] == answer["available_usd"] == "51"
    assert wallet.balance_nanousd(acme) == 51 * money.NANOUSD_PER_USD


@pytest.mark.parametrize("amount", ["0", "-5", "0.0000000001", "lots"])
def test_only_an_amount_above_zero_is_granted(acme, amount):
    with pytest.raises(CommandError):
        run("wallet", "grant", "--organization", "acme", "--reason", "r", "--amount", amount)

    assert wallet.balance_nanousd(acme) == 0


def test_without_json_rows_are_a_table(acme):
    output = io.StringIO()

    call_command("org", "list", stdout=output)

    head, row = output.getvalue().strip().splitlines()
    assert head.split()[:3] == ["id", "slug", "name"]
    assert row.split()[1:3] == ["acme", "Acme"]


def test_the_demo_is_made_once_and_found_again(tmp_path):
    path = tmp_path / "demo.json"
    first = run("demo")
    path.write_text(json.dumps(first | {"base_url": "http://127.0.0.1:1/v1"}))

    again = run("demo", "--existing", str(path))

    user = User.objects.get(email="demo@exerati.test")
    assert again == first
    assert user.check_password(first["password"])
    assert keys.parse(first["api_key"]).mode == "live"
    assert keys.parse(first["test_api_key"]).mode == "test"
    live = ApiKey.objects.get(mode="live")
    assert live.budget_month_nanousd == 50 * money.NANOUSD_PER_USD
    assert wallet.balance_nanousd(live.organization) == 5 * money.NANOUSD_PER_USD


@pytest.mark.parametrize("lost", ["file", "password", "api_key"])
def test_a_demo_that_does_not_hold_any_more_is_renewed_and_its_old_keys_end(tmp_path, lost):
    path = tmp_path / "demo.json"
    first = run("demo")
    if lost != "file":
        path.write_text(json.dumps(first | {lost: "wrong"}))

    renewed = run("demo", "--existing", str(path))

    assert renewed["api_key"] != first["api_key"]
    assert ApiKey.objects.filter(revoked_at=None).count() == 2
    assert ApiKey.objects.exclude(revoked_at=None).count() == 2
    assert User.objects.get().check_password(renewed["password"])
    assert wallet.balance_nanousd(Organization.objects.get()) == 5 * 10**9


def test_the_demo_takes_a_password():
    assert run("demo", "--password", "open sesame")["password"] == "open sesame"
    assert User.objects.get().check_password("open sesame")

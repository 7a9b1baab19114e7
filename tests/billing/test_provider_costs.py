"""What providers state as our costs: three forms of files, each once; drift and models sold below cost."""

from datetime import UTC, date, datetime, timedelta

import pytest
from django.core import mail
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.urls import reverse
from django.utils import timezone

from billing import aggregation
from billing.comparisons import cost_comparison, provider_costs
from billing.models import (
    Attempt,
    OutboxMessage,
    ProviderCostImport,
    ProviderCostLine,
    ReconItem,
)
from exerati.lib import ids
from tests import factories

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 18, 15, 20, tzinfo=UTC)
DAY = date(2026, 3, 17)
USD = 1_000_000_000

OPENAI = b"""start_time,end_time,start_time_iso,end_time_iso,amount_value,amount_currency,line_item,project_id
1,2,2026-03-17T00:00:00+00:00,2026-03-18T00:00:00+00:00,1.25,usd,"gpt-4o-2024-08-06, input",proj
1,2,2026-03-17T00:00:00+00:00,2026-03-18T00:00:00+00:00,0.7500000005,usd,"gpt-4o-2024-08-06, output",proj
1,2,2026-03-16T00:00:00+00:00,2026-03-17T00:00:00+00:00,,,,
"""
ANTHROPIC = """\ufeffusage_date_utc,model,workspace,api_key,usage_type,token_type,cost_usd,cost_type
2026-03-17,Claude Haiku 4.5,Default,key,message,input_no_cache,0.05,token
2026-03-17,Claude Haiku 4.5,Default,key,message,output,0.10,token
""".encode()


def generic(*lines: str) -> bytes:
    return "\n".join(["day,model,cost_usd", *lines]).encode()


def take(content: bytes, provider: str = "openai"):
    return provider_costs.take_in(content, provider=provider, file_name="costs.csv", actor=None)


def tried(provider: str, model: str, usd: float, *, at: datetime = NOW - timedelta(days=1)) -> None:
    Attempt.objects.create(
        request_id=ids.new_uuid(),
        number=1,
        provider=provider,
        upstream_model=model,
        provider_cost_nanousd=int(usd * USD),
        started_at=at,
    )


def drift() -> dict[str, int]:
    """Compare and return the drift in nano-USD by provider, model and day."""
    cost_comparison.run(NOW)
    items = ReconItem.objects.filter(gone_at=None, kind=ReconItem.Kind.COST_DRIFT)
    return dict(items.values_list("object_id", "difference_nanousd"))


@pytest.mark.parametrize(
    ("content", "form", "lines"),
    [
        (
            OPENAI,
            "openai",
            [
                ("gpt-4o-2024-08-06, input", 1_250_000_000),
                ("gpt-4o-2024-08-06, output", 750_000_000),
            ],
        ),
        (ANTHROPIC, "anthropic", [("Claude Haiku 4.5", 150_000_000)]),
        (generic("2026-03-17,m,0.1", "2026-03-17,m,-0.04"), "generic", [("m", 60_000_000)]),
    ],
)
def test_a_file_is_read_by_its_head(content, form, lines):
    made = take(content)

    assert (made.form, made.lines_read) == (form, len(lines))
    found = ProviderCostLine.objects.order_by("model").values_list("model", "cost_nanousd", "day")
    assert list(found) == [(*line, DAY) for line in lines]


def test_a_repeat_of_a_file_does_nothing():
    take(OPENAI)

    with pytest.raises(provider_costs.TakenBefore):
        take(OPENAI)

    assert ProviderCostImport.objects.count() == 1
    assert ProviderCostLine.objects.count() == 2


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"a,b\n1,2\n",
        b"\xff\xfe",
        generic(),
        generic("soon,m,1"),
        generic("2026-03-17,m,much"),
        generic("2026-03-17,m,NaN"),
        generic("2026-03-17,m,1e30"),
        generic('2026-03-17,"m,1'),
        OPENAI.replace(b"usd", b"eur"),
    ],
)
def test_a_file_that_says_nothing_is_refused_whole(content):
    with pytest.raises(provider_costs.CannotRead):
        take(content)

    assert not ProviderCostImport.objects.exists()


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("Claude Haiku 4.5", "claude-haiku-4-5-20251001"),
        ("gpt-4o-2024-08-06, input", "gpt-4o"),
        ("gpt-4o", "gpt-4o-2024-08-06"),
    ],
)
def test_names_of_one_model_meet(theirs, ours):
    assert provider_costs.model_key(theirs) == provider_costs.model_key(ours)


def test_other_models_stay_apart():
    assert provider_costs.model_key("gpt-4o-mini") != provider_costs.model_key("gpt-4o")


def test_costs_that_agree_are_no_drift_and_the_rest_is_by_day_and_model():
    tried("openai", "gpt-4o", 2.0)
    tried("openai", "gpt-4o-mini", 0.5)
    tried("anthropic", "claude", 9.0)  # no file of theirs: nothing to compare
    tried("openai", "gpt-4o", 7.0, at=NOW)  # today is not over
    take(generic("2026-03-17,gpt-4o,2.005", "2026-03-17,gpt-5,0.3", "2026-03-18,gpt-4o,1"))

    assert drift() == {
        "openai/gpt-4o-mini/2026-03-17": -500_000_000,
        "openai/gpt-5/2026-03-17": 300_000_000,
    }


def test_the_newest_file_of_a_day_counts():
    tried("openai", "m", 2.0)
    take(generic("2026-03-17,m,1.0"))
    assert drift() == {"openai/m/2026-03-17": -1 * USD}

    take(generic("2026-03-17,m,2.0"))

    assert drift() == {}
    assert ReconItem.objects.get().gone_at is not None


def test_a_model_sold_below_its_cost_is_told(acme_key):
    for model, charge, cost in (("bad", 100, 150), ("good", 150, 100)):
        event = factories.make_usage_event(
            acme_key.key,
            model=model,
            occurred_at=NOW - timedelta(days=1),
            charge_nanousd=charge,
            provider_cost_nanousd=cost,
        )
        OutboxMessage.objects.create(
            request_id=event.request_id,
            occurred_at=event.occurred_at,
            organization=event.organization,
        )
    aggregation.roll_up()

    cost_comparison.run(NOW)

    item = ReconItem.objects.get()
    assert (item.kind, item.object_id) == (ReconItem.Kind.NEGATIVE_MARGIN, "bad/2026-03-17")
    assert item.difference_nanousd == 50


def test_taking_in_compares_and_mails_staff(django_capture_on_commit_callbacks):
    factories.make_user("staff@exerati.test", is_staff=True)
    day = timezone.now().date() - timedelta(days=2)

    with django_capture_on_commit_callbacks(execute=True):
        take(generic(f"{day},m,3"))

    [message] = mail.outbox
    assert f"openai/m/{day}" in message.body


def test_the_command_takes_a_file_in_once(tmp_path, capsys):
    file = tmp_path / "costs.csv"
    file.write_bytes(OPENAI)

    call_command("provider", "costs", "import", "openai", str(file))
    call_command("provider", "costs", "import", "openai", str(file), "--json")

    assert '"taken_in": false' in capsys.readouterr().out
    assert ProviderCostImport.objects.count() == 1
    file.write_bytes(b"nonsense")
    with pytest.raises(CommandError):
        call_command("provider", "costs", "import", "openai", str(file))


def test_staff_upload_a_file_in_the_admin(client):
    staff = factories.make_user(is_staff=True, is_superuser=True)
    client.force_login(staff)
    url = reverse("admin:billing_providercostimport_add")

    wrong = client.post(url, {"provider": "openai", "file": SimpleUploadedFile("c.csv", b"x")})
    done = client.post(url, {"provider": "openai", "file": SimpleUploadedFile("c.csv", OPENAI)})
    again = client.post(url, {"provider": "openai", "file": SimpleUploadedFile("c.csv", OPENAI)})

    assert [answer.status_code for answer in (wrong, done, again)] == [200, 302, 200]
    assert "taken in before" in again.content.decode()
    assert ProviderCostImport.objects.get().actor == staff

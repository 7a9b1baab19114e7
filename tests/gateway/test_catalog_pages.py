"""The public catalog: what is listed, at which price, and how it is narrowed."""

import re
from datetime import UTC, date, datetime, timedelta

import pytest
from django.utils import timezone

from billing import pricing
from billing.types import Price, Rates, Tier, TokenUsage
from gateway.catalog import catalog_detail
from gateway.models import Model
from tests import factories

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 18, tzinfo=UTC)


@pytest.fixture
def small():
    """A cheap chat model with tools."""
    return factories.make_model(
        "small", title="Small One", owned_by="openai", features=["tools", "streaming"]
    )


@pytest.fixture
def large():
    """A dear model that reasons, reads pictures and has a long context."""
    model = factories.make_model(
        "large",
        title="Large One",
        owned_by="anthropic",
        features=["tools", "reasoning"],
        input_modalities=["text", "image"],
        context_tokens=1_000_000,
    )
    factories.make_price("large", effective_from=NOW, input_microusd_per_mtok=9_000_000)
    return model


@pytest.fixture
def vectors():
    """An embedding model."""
    return factories.make_model(
        "vectors", kind=Model.Kind.EMBEDDING, features=[], context_tokens=8_000
    )


def names(client, query=""):
    html = client.get(f"/models/?{query}").content.decode()
    return re.findall(r'<th scope="row"><a href="/models/([^"]+)/"', html)


def text_of(answer):
    """Return the page's words without its markup."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.content.decode()))


def test_anybody_may_see_the_models_with_their_prices(client, small):
    words = text_of(client.get("/models/"))

    assert "Small One small" in words
    assert "$0.10" in words
    assert "$0.40" in words


def test_hidden_models_and_those_without_a_price_are_not_listed(client, small):
    Model.objects.create(name="no-price", title="x", owned_by="x", kind="chat")
    hidden = factories.make_model("hidden")
    hidden.hidden_at = timezone.now()
    hidden.save()

    assert names(client) == ["small"]
    assert client.get("/models/no-price/").status_code == 404
    assert client.get("/models/hidden/").status_code == 404


def test_a_price_to_come_does_not_hold_yet(client, small):
    soon = timezone.now() + timedelta(days=1)
    factories.make_price("small", effective_from=soon, input_microusd_per_mtok=7_770_000)

    assert "$7.77" not in text_of(client.get("/models/"))
    words = text_of(client.get("/models/small/"))
    assert "2 price versions" in words
    assert "Coming 1 Jan 2020 Now Input $7.77 was $0.10 $0.10" in words


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["large", "small", "vectors"]),
        ("kind=embedding", ["vectors"]),
        ("q=LARGE+one", ["large"]),
        ("q=anthropic", ["large"]),
        ("provider=openai", ["small"]),
        ("input=image", ["large"]),
        ("feature=tools", ["large", "small"]),
        ("feature=tools&feature=reasoning", ["large"]),
        ("context=200000", ["large"]),
        ("price=10", ["small", "vectors"]),
        ("price=x&status=y", ["large", "small", "vectors"]),
        ("feature=vision", ["large"]),
        ("feature=audio", []),
        ("status=available", ["large", "small", "vectors"]),
        ("status=new", ["large", "small", "vectors"]),
        ("in=1000&out=10", ["small", "vectors", "large"]),
        ("view=cards&q=nothing", []),
        ("sort=input", ["small", "vectors", "large"]),
        ("sort=context", ["large", "small", "vectors"]),
        ("q=nothing+like+it", []),
        ("kind=x&input=y&feature=z&context=w&sort=v", ["large", "small", "vectors"]),
    ],
)
def test_the_list_is_narrowed_and_sorted_by_its_address(
    client, small, large, vectors, query, expected
):
    assert names(client, query) == expected


def test_kinds_show_how_many_models_the_other_filters_leave(client, small, large, vectors):
    words = text_of(client.get("/models/?feature=tools"))

    assert "All 2 Chat 2" in words
    assert "Embeddings" not in words.split("Search")[0]


def test_the_list_is_three_queries(client, small, large, vectors, django_assert_num_queries):
    with django_assert_num_queries(3):
        client.get("/models/")


def test_a_model_page_has_prices_routes_parameters_and_code(client, settings, large):
    large.supported_parameters = ["temperature", "tools"]
    large.save()

    words = text_of(client.get("/models/large/"))

    assert "$9.00" in words
    assert "Valid since 18 March 2026" in words
    assert "Sandbox large" in words
    assert "temperature tools" in words
    assert f"curl {settings.API_BASE_URL}/chat/completions" in words


def test_an_embedding_model_shows_how_to_embed(client, settings, vectors):
    assert f"{settings.API_BASE_URL}/embeddings" in text_of(client.get("/models/vectors/"))


def test_a_name_with_a_slash_has_its_page(client):
    factories.make_model("sandbox/echo")

    answer = client.get("/models/sandbox/echo/")

    assert answer.status_code == 200
    assert "For tests of your program" in text_of(answer)


def test_what_imitates_a_model_is_not_shown_for_sale(client, small):
    factories.make_model("sandbox/echo", title="Echo")

    assert names(client) == ["small"]
    assert "1 of 1 models" in text_of(client.get("/models/"))
    assert [one["id"] for one in client.get("/models.json").json()["data"]] == ["small"]
    front = text_of(client.get("/"))
    assert "Models of OpenAI" in front
    assert "more" not in front.split("Models of OpenAI")[1][:20]
    for page in ("/models/compare/", "/pricing", "/models.rss", "/"):
        assert "sandbox/echo" not in client.get(page).content.decode(), page


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"deprecated_on": date(2026, 1, 1)}, "Deprecated"),
        ({"shutdown_on": date(2020, 1, 1)}, "Switched off by its provider"),
        ({"shutdown_on": date(2999, 1, 1)}, "Will be switched off"),
    ],
)
def test_a_model_page_warns(client, small, fields, words):
    Model.objects.filter(pk=small.pk).update(**fields)

    assert words in text_of(client.get("/models/small/"))


def test_the_estimate_is_what_a_call_would_be_charged(client, small):
    usage = TokenUsage(input_tokens=1_000_000, output_tokens=250_000)
    detail = catalog_detail.detail("small", now=timezone.now())
    assert detail is not None
    price = detail.row.price

    answer = client.get("/models/small/?input=1,000,000&output=250000")

    assert pricing.charge_nanousd(usage, price=price) == 200_000_000
    words = text_of(answer).replace("\N{MULTIPLICATION SIGN}", "x")
    assert "$0.20 1,000,000 input x $0.10 / M + 250,000 output x $0.40 / M" in words


@pytest.mark.parametrize("query", ["input=-1", "input=many", "input=9" + "9" * 40, "input=%00"])
def test_a_nonsense_estimate_is_a_page_all_the_same(client, small, query):
    assert client.get(f"/models/small/?{query}").status_code == 200


def test_prices_by_prompt_size_and_service_tier_stand_side_by_side_where_they_fit():
    base = Rates(input_microusd_per_mtok=1, output_microusd_per_mtok=2)
    dear = Rates(input_microusd_per_mtok=3, output_microusd_per_mtok=4)
    price = Price(1, base, (Tier(200_000, dear),), {"priority": Price(1, dear)})

    [table] = catalog_detail.price_tables(price)

    assert table.columns == ("Standard, up to 200,000", "Standard, above 200,000", "Priority")
    assert table.rows == (("Input", (1, 3, 3)), ("Output", (2, 4, 4)))


def test_prices_that_do_not_fit_get_a_table_for_each_service_tier():
    rates = Rates(input_microusd_per_mtok=1)
    tiers = (Tier(200_000, rates),)
    named = {name: Price(1, rates, tiers) for name in ("fast", "flex")}

    tables = catalog_detail.price_tables(Price(1, rates, tiers, named))

    assert [table.title for table in tables] == ["", "fast", "flex"]


def test_what_is_not_paid_by_the_token_shows_its_unit(client):
    factories.make_model("painter", kind="image", title="Painter")
    factories.make_price(
        "painter",
        effective_from=NOW,
        input_microusd_per_mtok=None,
        output_microusd_per_mtok=None,
        image_nanousd=40_000_000,
    )

    assert "$0.04 / image" in text_of(client.get("/models/"))
    assert "Image $0.04" in text_of(client.get("/models/painter/"))


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"released_on": date(2026, 3, 1)}, "new"),
        ({"deprecated_on": date(2026, 1, 1)}, "deprecated"),
        ({"deprecated_on": date(2026, 1, 1), "shutdown_on": date(2026, 3, 18)}, "retired"),
    ],
)
def test_age_is_a_badge_with_its_date_and_a_filter(
    client, time_machine, small, large, fields, status
):
    time_machine.move_to(NOW, tick=False)
    Model.objects.update(created_at=NOW - timedelta(days=400))
    Model.objects.filter(pk=small.pk).update(**fields)

    assert names(client, f"status={status}") == ["small"]
    assert names(client, "status=available") == (
        ["large", "small"] if status == "new" else ["large"]
    )
    on = list(fields.values())[-1]
    words = text_of(client.get(f"/models/?status={status}"))
    assert f"{status.capitalize()} {on:%-d %b %Y}" in words
    assert f"{status.capitalize()} {on:%-d %b %Y}" in text_of(client.get("/models/small/"))


def test_a_call_is_priced_for_each_model_and_the_cheapest_comes_first(client, small, large):
    words = text_of(client.get("/models/?in=1,000&out=500"))

    assert words.index("Small One") < words.index("Large One")
    assert "$0.0003" in words  # 1,000 x $0.10 / M + 500 x $0.40 / M
    assert "$0.0092" in words  # 1,000 x $9.00 / M + 500 x $0.40 / M
    assert "$0.0092" in text_of(client.get("/models/?in=1,000&out=500&view=cards"))


def test_two_models_stand_side_by_side_with_the_better_numbers_marked(client, small, large):
    html = client.get("/models/compare/?model=small&model=large&model=nobody&in=1000&out=500")
    words = text_of(html)

    assert "Input / 1M $0.10 $9.00" in words
    assert "Context 128,000 1,000,000" in words
    assert "Your call $0.0003 $0.0092" in words
    assert "Reasoning No Yes" in words
    best = re.findall(r'class="num best"[^>]*>([^<]+?) <svg', html.content.decode())
    assert best == ["$0.0003", "$0.10", "1,000,000"]


def test_a_comparison_takes_four_models_each_once(client):
    for number in range(5):
        factories.make_model(f"m{number}", title=f"Model {number}")
    query = "&".join(f"model=m{number}" for number in (0, 0, 1, 2, 3, 4))

    html = client.get(f"/models/compare/?{query}").content.decode()

    assert re.findall(r'<th scope="col"><a href="/models/(\w+)/"', html) == ["m0", "m1", "m2", "m3"]


def test_without_models_a_comparison_says_what_to_do(client, small):
    assert "Choose two to four models" in text_of(client.get("/models/compare/"))


def test_the_catalog_is_there_for_programs(client, small, large):
    found = {row["id"]: row for row in client.get("/models.json").json()["data"]}

    assert found["large"]["prices"]["input_microusd_per_mtok"] == 9_000_000
    assert found["large"]["prices_since"].startswith("2026-03-18")
    assert found["small"]["features"] == ["tools", "streaming"]


def test_the_feed_tells_of_new_models_retirements_and_changed_prices(
    client, time_machine, small, large
):
    time_machine.move_to(NOW + timedelta(days=30), tick=False)
    Model.objects.update(created_at=NOW - timedelta(days=400))
    Model.objects.filter(pk=small.pk).update(
        released_on=date(2026, 3, 1), shutdown_on=date(2027, 1, 1)
    )
    answer = client.get("/models.rss")
    text = answer.content.decode()

    assert answer["Content-Type"].startswith("application/rss+xml")
    assert re.findall(r"<title>(.+?)</title>", text)[1:] == [
        "New price: Large One",
        "New: Small One",
    ]
    assert "Input: $9.00, was $0.10" in text


@pytest.mark.parametrize("kind", ["image", "speech", "transcription", "moderation", "rerank"])
def test_models_of_every_kind_show_how_to_call_them(client, settings, kind):
    factories.make_model("of-this-kind", kind=kind)

    html = client.get("/models/of-this-kind/").content.decode()

    assert re.findall(r'type="radio" name="model-call" value="(\w+)"', html) == [
        "curl",
        "Python",
        "JavaScript",
    ]
    assert html.count("of-this-kind") > 5


def test_chat_model_is_tried_in_ones_own_playground(alice_client, charlie_client, client, small):
    html = client.get("/models/small/").content.decode()
    [link] = re.findall(r'href="(/dashboard/[^"]+)"', html)

    assert link == "/dashboard/-/playground/?model=small"
    assert alice_client.get(link).url == "/dashboard/acme/playground/?model=small"
    assert charlie_client.get(link).url == "/dashboard/globex/playground/?model=small"
    assert client.get(link).url.startswith("/login?next=/dashboard/-/playground/")

"""The pages of the catalog stay light, whole and reachable however many models are sold."""

import gzip
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.contrib.staticfiles import finders
from django.urls import reverse

from billing.models import PriceVersion
from gateway.catalog.views import PAGE_ROWS
from gateway.models import Model, Route
from tests import factories
from tests.pages.audit import MOST_BYTES

pytestmark = pytest.mark.django_db
MANY = 1_000
SINCE = datetime(2026, 11, 1, tzinfo=UTC)
LINKED = re.compile(r'(?:href|src)="/static/([^"#?]+\.(?:css|js|woff2|svg))')
IMPORTED = re.compile(r'url\("?\.\./(fonts/[^")]+)')


def sell(count):
    """Store models of forty makers with routes to one provider, and every rate that the list shows."""
    served = factories.make_model("m-0000")
    provider = served.routes.get().provider
    made = Model.objects.bulk_create(
        Model(
            name=f"m-{number:04}-instruct-2026-11",
            title=f"Model {number * 7919 % 9973} Instruct {number}",
            owned_by=f"maker-{number % 40}",
            kind="chat",
            description="Writes, reads and sums up.",
            input_modalities=["text", "image"],
            output_modalities=["text"],
            context_tokens=128_000 + number,
            max_output_tokens=16_000 + number,
            features=["tools", "structured_output", "reasoning", "vision", "streaming"],
            created_at=SINCE,
        )
        for number in range(1, count)
    )
    Route.objects.bulk_create(
        Route(model=model, provider=provider, upstream_model=model.name, priority=0)
        for model in made
    )
    PriceVersion.objects.bulk_create(
        PriceVersion(
            model=model.name,
            effective_from=SINCE,
            input_microusd_per_mtok=100_000 + number * 37,
            cache_read_microusd_per_mtok=10_000 + number * 13,
            output_microusd_per_mtok=400_000 + number * 91,
        )
        for number, model in enumerate(made)
    )


def weight(client, path):
    """Return what a first visit loads, compressed: the page, what it links to, and the fonts of its styles."""
    page = client.get(path).content
    files = {*LINKED.findall(page.decode()), "img/icons.svg"}
    for name in [one for one in files if one.endswith(".css")]:
        files |= set(IMPORTED.findall(_file(name).decode()))
    return len(gzip.compress(page)) + sum(
        len(_file(one) if one.endswith("woff2") else gzip.compress(_file(one))) for one in files
    )


def _file(name: str) -> bytes:
    return Path(str(finders.find(name))).read_bytes()


def test_a_thousand_models_are_light_whole_and_reachable(client, settings):
    sell(MANY)
    for path in ("/models/", "/models/?in=1000&out=500&view=cards", "/models/compare/", "/pricing"):
        assert weight(client, path) <= MOST_BYTES, path

    seen = []
    following = ["/models/"]
    while following:
        html = client.get(following[0]).content.decode()
        seen += re.findall(r'<th scope="row"><a href="/models/([^"]+)/"', html)
        following = re.findall(r'<link rel="next" href="([^"]+)"', html)
    assert seen == sorted(set(seen))
    assert len(seen) == MANY

    assert [one["id"] for one in client.get("/models.json").json()["data"]] == seen
    listed = client.get("/sitemap.xml").content.decode()
    assert f"<loc>{settings.SITE_URL}{reverse('catalog')}?page=10</loc>" in listed
    assert "?page=11" not in listed
    assert listed.count("/models/m-") == MANY


def test_pages_keep_the_filters_and_filters_begin_at_the_first_page(client):
    sell(2 * PAGE_ROWS + 2)

    html = client.get("/models/?sort=input&status=new&page=2").content.decode()

    hrefs = {one.replace("&amp;", "&") for one in re.findall(r'href="([^"]*)"', html)}
    kept = "/models/?sort=input&status=new"
    assert {kept, f"{kept}&page=3"} <= hrefs
    assert "?sort=input&status=new&kind=chat" in hrefs
    assert 'name="page"' not in html
    words = re.sub(r"<[^>]+>", "", html)
    assert f"{PAGE_ROWS + 1} to {2 * PAGE_ROWS} of {2 * PAGE_ROWS + 2}" in words


def test_each_page_of_the_whole_list_has_an_address_and_one_that_is_not_there_is_the_nearest(
    client, settings
):
    sell(2 * PAGE_ROWS + 1)
    pages = {"x": 1, "1": 1, "2": 2, "3": 3, "0": 3, "4": 3, "-1": 3, "9" * 400: 3, "": 1}

    for wanted, number in pages.items():
        html = client.get("/models/", {"page": wanted}).content.decode()
        [present] = re.findall(r'aria-current="page">(\d+)<', html)
        own = f"?page={number}" if number > 1 else ""
        assert int(present) == number, wanted
        assert f'<link rel="canonical" href="{settings.SITE_URL}/models/{own}">' in html

    html = client.get("/models/?sort=input&page=3").content.decode()
    assert f'<link rel="canonical" href="{settings.SITE_URL}/models/">' in html


def test_a_short_list_has_no_pages(client):
    factories.make_model("only")

    html = client.get("/models/").content.decode()

    assert 'aria-label="Pages"' not in html
    assert 'rel="next"' not in html

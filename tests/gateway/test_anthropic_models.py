"""The list of models as the official Anthropic client reads it, page by page."""

from datetime import UTC, datetime, timedelta

import anthropic
import pytest
from anthropic import Anthropic

from gateway.models import Model
from tests import factories
from tests.gateway.test_fuzz import validator
from tests.gateway.test_messages_sdk import base_url_of, body_of


@pytest.fixture
def client(shop):
    with Anthropic(base_url=base_url_of(shop), api_key=shop.secret, max_retries=0) as client:
        yield client


@pytest.fixture
def names(shop):
    """Three models, in the order of the list."""
    made = [f"{shop.model}-page-{letter}" for letter in "abc"]
    for name in made:
        factories.make_model(name, provider=shop.provider)
    shop.relearn()
    return made


def test_a_model_has_every_field_of_the_sdk_and_ours(shop, client):
    found = client.models.retrieve(shop.model)

    told = found.model_dump(warnings="error")
    validator("Model").validate(found.model_dump(mode="json", exclude_unset=True))
    assert set(type(found).model_fields) - set(found.model_fields_set) == {"capabilities"}
    assert (found.type, found.lifecycle, found.display_name) == ("model", "active", told["name"])
    assert (found.max_input_tokens, found.max_tokens) == (128_000, 16_384)
    assert int(found.created_at.timestamp()) == told["created"]
    assert told["pricing"]["prompt"] == "0.0000001"


def test_pages_hold_every_model_once_in_order(shop, client, names):
    page = client.models.list(limit=1_000)
    whole = [model.id for model in page.data]

    assert set(names) <= set(whole)
    validator("ModelList").validate(page.model_dump(mode="json", exclude_unset=True))
    assert [model.id for model in client.models.list(limit=2)] == whole
    place = whole.index(names[1])
    assert [m.id for m in client.models.list(limit=1, after_id=names[1]).data] == whole[
        place + 1 : place + 2
    ]
    backwards = client.models.list(limit=1, before_id=names[1])
    assert [model.id for model in backwards.data] == [whole[place - 1]]
    assert backwards.has_more == (place > 1)


def test_what_is_about_to_end_says_when(shop, client, names):
    today = datetime.now(UTC).date()
    Model.objects.filter(name=names[0]).update(
        deprecated_on=today - timedelta(days=1), shutdown_on=today + timedelta(days=30)
    )
    shop.relearn()

    found = client.models.retrieve(names[0])

    assert (found.lifecycle, found.retires_at.date()) == (
        "deprecated",
        today + timedelta(days=30),
    )
    active = {model.id for model in client.models.list(lifecycle=["active"], limit=1_000)}
    assert set(names) - active == {names[0]}


@pytest.mark.parametrize(
    ("asked", "param"),
    [({"limit": 0}, "limit"), ({"limit": 1001}, "limit"), ({"after_id": "no-such"}, "after_id")],
)
def test_a_page_that_cannot_be_is_refused(client, asked, param):
    with pytest.raises(anthropic.BadRequestError) as caught:
        client.models.list(**asked)

    assert body_of(caught)["error"]["param"] == param

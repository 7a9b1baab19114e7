"""The labels of a call: read from a header and the metadata, bounded, never refused."""

import pytest

from billing.models import UsageEvent
from gateway import call_tags
from tests.upstream import wait_until


@pytest.mark.parametrize(
    ("header", "metadata", "tags"),
    [
        ("", "", ()),
        ("team:a, nightly", "", ("team:a", "nightly")),
        ("a", "b,a", ("a", "b")),
        (" , ,a b,-x,=1,é,\x00,ok", "", ("ok",)),
        ("x" * 40, "y" * 41, ("x" * 40,)),
        (",".join(map(str, range(20))), "", tuple(map(str, range(8)))),
    ],
)
def test_tags_are(header, metadata, tags):
    assert call_tags.read(header, metadata) == tags


def test_a_header_of_any_size_is_read_in_bounded_time():
    assert call_tags.read("," * 1_000_000 + "late", "") == ()


def test_tags_of_header_and_metadata_are_stored_on_the_event_and_change_nothing_else(shop):
    plain = shop.chat()
    tagged = shop.gateway.request(
        "POST",
        "/v1/chat/completions",
        key=shop.secret,
        headers={"x-exerati-tags": "team:a, no good"},
        body={
            "model": shop.model,
            "messages": [{"role": "user", "content": "Hello"}],
            "metadata": {"tags": "nightly"},
        },
    )

    assert (plain.status, tagged.status) == (200, 200)
    wait_until(lambda: UsageEvent.objects.filter(organization=shop.organization).count() == 2)
    events = UsageEvent.objects.filter(organization=shop.organization).order_by("occurred_at")
    assert [event.tags for event in events] == [None, ["team:a", "nightly"]]
    assert tagged.json["usage"]["total_tokens"] == plain.json["usage"]["total_tokens"]

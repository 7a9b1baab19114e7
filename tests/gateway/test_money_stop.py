"""Streams that would cost more than was reserved end cleanly: a reason, and no charge above the bound."""

import json

import pytest

from gateway.models import Provider
from tests.billing.calls import rows, update
from tests.upstream import wait_until

WORDS = tuple(f" word{number}" for number in range(2_000))


def chunks_of(answer):
    blocks = answer.body.split(b"\n\n")
    return [json.loads(block[6:]) for block in blocks if block.startswith(b"data: {")]


def charged(shop) -> tuple[int, int]:
    """Return the charge and the bound of the one stream, once it is settled."""
    found: list[tuple[int, int]] = []

    def settled() -> bool:
        found[:] = rows(
            "SELECT charge_nanousd, upper_nanousd FROM billing_usageevent WHERE model = %s AND streamed",
            shop.model,
        )
        return len(found) == 1

    wait_until(settled)
    return found[0]


@pytest.fixture
def unbounded(shop):
    """A shop whose provider takes no bound of output."""
    Provider.objects.filter(pk=shop.provider.pk).update(quirks=["no_output_bound"])
    wait_until(lambda: sent_without_bound(shop))
    return shop


def sent_without_bound(shop) -> bool:
    """Whether the gateway has learnt of the quirk."""
    assert shop.chat().status == 200
    return "max_completion_tokens" not in shop.upstream.calls[-1].body


def test_provider_beyond_its_bound_is_cut_and_the_customer_pays_no_more_than_the_bound(shop):
    shop.script(pieces=WORDS, piece_seconds=0.001, usage=())

    answer = shop.chat(stream=True, max_tokens=50, stream_options={"include_usage": True})

    *_, last, usage = chunks_of(answer)
    assert last["choices"][0]["finish_reason"] == "length"
    assert last["exerati"] == {"stop_reason": "output_bound"}
    assert usage["usage"]["exerati"] == {"stop_reason": "output_bound"}
    assert usage["usage"]["completion_tokens"] == 50
    assert answer.body.endswith(b"data: [DONE]\n\n")
    charge, upper = charged(shop)
    assert 0 < charge <= upper
    wait_until(lambda: shop.upstream.calls[-1].ended_at is not None)
    assert shop.upstream.calls[-1].pieces_sent < len(WORDS)


def test_provider_within_its_bound_is_never_cut(shop):
    shop.script(pieces=WORDS[:45], usage=())

    answer = shop.chat(stream=True, max_tokens=100)

    assert chunks_of(answer)[-1]["choices"][0]["finish_reason"] == "stop"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("messages", {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 50}),
        ("responses", {"input": "Hello", "max_output_tokens": 50}),
    ],
)
def test_other_dialects_tell_the_reason_beside_the_usage(shop, path, body):
    shop.script(pieces=WORDS, piece_seconds=0.001, usage=())

    answer = shop.gateway.request(
        "POST",
        f"/v1/{path}",
        key=shop.secret,
        body={"model": shop.model, "stream": True, **body},
    )

    assert b'"exerati":{"stop_reason":"output_bound"}' in answer.body
    assert b"max_tokens" in answer.body or b"max_output_tokens" in answer.body


def test_reservation_of_a_provider_without_bounds_grows_while_budgets_have_room(unbounded):
    unbounded.script(pieces=WORDS, usage=())
    update("gateway_model", model_row(unbounded), max_output_tokens=500)
    wait_until(lambda: unbounded_call(unbounded) == "stop")


def test_refused_extension_ends_the_stream(unbounded):
    unbounded.script(pieces=WORDS, usage=())

    answer = unbounded.chat(stream=True, max_tokens=50)

    last = chunks_of(answer)[-1]
    assert last["choices"][0]["finish_reason"] == "length"
    assert last["exerati"] == {"stop_reason": "budget"}
    charge, upper = charged(unbounded)
    assert 0 < charge <= upper


def model_row(shop) -> int:
    return int(rows("SELECT id FROM gateway_model WHERE name = %s", shop.model)[0][0])


def unbounded_call(shop) -> str:
    """Return how a call ended; its reservation must have grown beyond the model's 500 tokens for more words."""
    answer = shop.chat(stream=True)
    ending = chunks_of(answer)[-1]["choices"][0]["finish_reason"]
    found = rows("SELECT max(extensions) FROM billing_reservation")[0][0]
    return str(ending) if int(found or 0) > 0 else "not yet"

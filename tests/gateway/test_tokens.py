"""The bound of a call is never less than what it uses, and what is asked for fits the model."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway import tokens, vocabulary
from gateway.serializers import ChatLimits, parse_chat, parse_embeddings

TEXTS = st.text() | st.sampled_from(
    [
        "世界" * 50,
        "🙂👩‍👩‍👧‍👦" * 20,
        "ﷺ" * 30,
        "<|endoftext|>",
        "\n \t" * 40,
        "a" * 500,
        "\uff41\uff42\uff43",
    ]
)


def chat(**fields):
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}], **fields}
    return parse_chat(body, limits=ChatLimits())


def bound(call, *, context=None, most=None, key=None):
    return tokens.chat_bound(
        call, context_tokens=context, max_output_tokens=most, key_max_output_tokens=key
    )


@settings(deadline=None)
@given(st.lists(TEXTS, min_size=1, max_size=4), st.dictionaries(TEXTS, TEXTS, max_size=4))
def test_counted_tokens_never_exceed_the_bound(texts, properties):
    function = {"name": "f", "description": texts[0], "parameters": {"properties": properties}}
    call = chat(
        messages=[
            {"role": "user", "content": texts[0]},
            *({"role": "user", "content": [{"type": "text", "text": text}]} for text in texts),
        ],
        tools=[{"type": "function", "function": function}],
    )

    for model in ("gpt-4o", "gpt-4"):
        assert tokens.count_chat(call, model=model) <= bound(call).input_tokens


def test_the_bound_holds_the_system_texts_that_providers_add():
    tool = {"type": "function", "function": {"name": "f"}}
    schema = {"type": "json_schema", "json_schema": {"name": "a", "schema": {}}}
    plain = bound(chat()).input_tokens

    assert bound(chat(tools=[tool])).input_tokens - plain >= 804
    assert bound(chat(response_format=schema)).input_tokens - plain >= 512


def test_the_output_bound_is_the_least_of_all_limits_times_the_choices():
    assert bound(chat(max_tokens=50), most=100, key=80).output_tokens == 50
    assert bound(chat(max_tokens=500), most=100, key=80).output_tokens == 80
    assert bound(chat(), most=100).output_tokens == 100
    assert bound(chat(n=3), most=100).output_tokens == 300
    assert bound(chat()).output_tokens == 4_096


def test_the_output_bound_of_each_choice_is_sent():
    call = chat(n=3, max_tokens=500)

    assert tokens.bounded_body(call, bound(call, most=100))["max_completion_tokens"] == 100
    assert call.body["max_completion_tokens"] == 500


def test_prompt_and_output_together_fit_the_context():
    text = "word " * 1_000
    call = chat(messages=[{"role": "user", "content": text}])

    limited = bound(call, context=8_192, most=8_192)

    assert tokens.count_chat(call, model="gpt-4o") + limited.output_tokens <= 8_192
    assert limited.output_tokens > 6_000
    assert limited.input_tokens <= 8_192


def test_what_the_customer_asked_for_is_not_shrunk_while_it_fits_by_count():
    call = chat(messages=[{"role": "user", "content": "word " * 1_000}], max_tokens=7_000)

    assert bound(call, context=8_192, most=8_192).output_tokens == 7_000


def test_a_prompt_that_fills_the_context_still_asks_for_some_tokens():
    call = chat(messages=[{"role": "user", "content": "word " * 5_000}])

    limited = bound(call, context=4_096, most=4_096)

    assert (limited.input_tokens, limited.output_tokens) == (4_096, 16)


def test_a_prediction_counts_as_output_too():
    call = chat(prediction={"type": "content", "content": "x" * 1_000}, max_tokens=10)

    assert bound(call, most=100).output_tokens > 1_100
    assert "max_completion_tokens" not in tokens.bounded_body(call, bound(call, most=100))


@pytest.mark.parametrize(
    ("model", "fields", "written", "for_an_hour"),
    [
        ("gpt-5.6-sol", {}, None, 0),
        ("claude-opus-5", {}, 0, 0),
        ("claude-opus-5", {"cache_control": {"type": "ephemeral"}}, None, 0),
        ("claude-opus-5", {"cache_control": {"type": "ephemeral", "ttl": "1h"}}, None, None),
    ],
)
@pytest.mark.parametrize("place", ["text", "image", "message", "tool"])
def test_only_a_prompt_with_marks_is_written_to_claudes_cache(
    model, fields, written, for_an_hour, place
):
    image = {"type": "image_url", "image_url": {"url": "https://a/b.png"}}
    marked = {
        name: fields if name == place else {} for name in ("text", "image", "message", "tool")
    }
    parts = [{"type": "text", "text": "Hi", **marked["text"]}, {**image, **marked["image"]}]
    call = chat(
        model=model,
        messages=[{"role": "user", "content": parts, **marked["message"]}],
        tools=[{"type": "function", "function": {"name": "f"}, **marked["tool"]}],
    )

    found = bound(call)

    assert (found.cache_write_5m_tokens, found.cache_write_1h_tokens) == (written, for_an_hour)


def test_tokens_with_a_rate_of_their_own_are_bound_by_their_media():
    image = {"type": "image_url", "image_url": {"url": "https://a/b.png", "detail": "low"}}

    plain, seen = (
        bound(chat(messages=[{"role": "user", "content": content}]))
        for content in ("Hi", [{"type": "text", "text": "Hi"}, image, image])
    )

    assert (plain.image_input_tokens, plain.audio_input_tokens, plain.seconds) == (0, 0, 0)
    assert (seen.image_input_tokens, seen.audio_input_tokens) == (170, 0)
    assert plain.audio_output_tokens == 0


def test_a_document_may_fill_the_context_but_not_more():
    part = {"type": "file", "file": {"file_data": "data:"}}
    call = chat(messages=[{"role": "user", "content": [part]}], max_tokens=10)

    assert bound(call, context=128_000, most=16_384).input_tokens == 128_000


@pytest.mark.parametrize("asked", [10, 1_000, None])
def test_a_document_takes_no_room_that_it_does_not_need(asked):
    page = {"type": "file", "file": {"file_data": "data:application/pdf;base64," + "A" * 8_000}}
    limits = {} if asked is None else {"max_tokens": asked}
    call = chat(messages=[{"role": "user", "content": [page]}], **limits)

    found = bound(call, context=128_000, most=16_384)

    assert found.input_tokens == 128_000
    assert found.output_tokens == (asked or 16_384)
    assert 1_500 <= tokens.count_chat(call, model="gpt-4o") < 1_600


@given(st.lists(st.text(min_size=1), min_size=1, max_size=5))
def test_inputs_of_embeddings_never_exceed_their_bound(texts):
    call = parse_embeddings({"model": "text-embedding-3-small", "input": texts})

    counted = tokens.count_inputs(call, model="text-embedding-3-small")
    assert counted <= tokens.embeddings_bound(call, context_tokens=None).input_tokens


def test_each_input_of_embeddings_is_bound_by_the_context():
    call = parse_embeddings({"model": "m", "input": ["x" * 10_000, "y" * 10_000]})

    assert tokens.embeddings_bound(call, context_tokens=512).input_tokens == 1_024


def test_delivered_text_is_counted_even_with_half_a_surrogate_pair():
    assert tokens.count_text("hello world", model="gpt-4") == 2
    assert tokens.count_text("hello \ud83d world", model="gpt-4") >= 3
    assert tokens.count_text("", model="gpt-4") == 0


def test_bytes_after_nfkc_are_bound_where_they_are_more():
    # One character of 3 bytes that becomes 18: its tokens in a normalising vocabulary are more than 3.
    call = chat(messages=[{"role": "user", "content": "\ufdfa" * 100}])

    assert bound(call).input_tokens >= 100 * 33
    assert vocabulary.count_tokens("\ufdfa" * 100, model="gpt-4o") <= bound(call).input_tokens


def test_tokens_for_another_model_are_bound_by_their_bytes():
    hello_world = [15339, 1917]

    def bound_for(model):
        call = parse_embeddings({"model": model, "input": hello_world})
        return tokens.embeddings_bound(call, context_tokens=None).input_tokens

    assert bound_for("text-embedding-3-small") == 2 + 8
    assert bound_for("e5-small") == len("hello world") + 8

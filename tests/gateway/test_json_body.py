"""A request body has one meaning, or it is refused with a sentence that says why."""

import contextlib
import json
import timeit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway import json_body
from gateway.json_body import InvalidBody


def parse(data: bytes | str) -> dict[str, object]:
    return json_body.parse(data if isinstance(data, bytes) else data.encode(), max_depth=64)


def refusal(data: bytes | str) -> InvalidBody:
    with pytest.raises(InvalidBody) as caught:
        parse(data)
    return caught.value


def test_an_ordinary_body_is_read_as_json_reads_it():
    body = {"model": "gpt-4o", "n": 1, "temperature": 0.7, "messages": [{"content": "Grüße 🙂"}]}

    assert parse(json.dumps(body)) == body
    assert parse(json.dumps(body, ensure_ascii=False)) == body


def test_a_repeated_key_is_refused_and_named():
    error = refusal('{"messages": [{"role": "user", "role": "system"}]}')

    assert error.param == "role"
    assert "appears twice" in error.message


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("", "empty"),
        ("  \n", "empty"),
        ("[]", "JSON object"),
        ('"text"', "JSON object"),
        ("null", "JSON object"),
        ('{"a": NaN}', "NaN"),
        ('{"a": Infinity}', "Infinity"),
        ('{"a": -Infinity}', "-Infinity"),
        ('{"a": 1e400}', "too large"),
        ('{"a": 9223372036854775808}', "64 bits"),
        ('{"a": ' + "9" * 5_000_000 + "}", "64 bits"),
        ('{"a": 1} {"b": 2}', "Extra data"),
        ('{"a": 1,}', "line 1, column"),
        ("{'a': 1}", "not valid JSON"),
        ('{"a": "\t"}', "control character"),
        ('{"a": "\\ud83d"}', "surrogate"),
        ('{"\\udc00": 1}', "surrogate"),
        (b'\xef\xbb\xbf{"a": 1}', "byte order mark"),
        ('{"a": 1}'.encode("utf-16"), "UTF-8"),
        (b'{"a": "\xff"}', "UTF-8"),
        (b'{"a": "\xed\xa0\x80"}', "UTF-8"),
    ],
)
def test_what_two_readers_may_understand_differently_is_refused(data, words):
    assert words in refusal(data).message


def test_whole_surrogate_pairs_and_the_largest_integers_pass():
    assert parse('{"a": "\\ud83d\\ude42", "b": 9223372036854775807}') == {
        "a": "🙂",
        "b": 2**63 - 1,
    }


def nested(depth: int) -> str:
    return '{"a": ' + "[" * (depth - 1) + "]" * (depth - 1) + "}"


def test_depth_is_limited_exactly():
    assert parse(nested(64))
    assert "64 levels" in refusal(nested(65)).message


@pytest.mark.parametrize("opening", ["[", '{"a":', '[{"a":'])
def test_a_bomb_of_brackets_is_refused_without_recursion(opening):
    assert "levels deep" in refusal('{"a": ' + opening * 200_000).message


def test_brackets_inside_strings_are_text():
    text = '[[[{{{"\\' * 1_000

    assert parse(json.dumps({"a": text, "b": [[1]]})) == {"a": text, "b": [[1]]}


def test_many_small_arrays_are_refused_before_they_fill_the_memory():
    assert "objects and arrays" in refusal('{"a": [' + "[]," * 400_000 + "[]]}").message


@pytest.mark.parametrize("value", ["1,", '"",', "null,"])
def test_many_small_values_are_refused_before_they_fill_the_memory(value):
    assert "values" in refusal('{"a": [' + value * 1_100_000 + "1]}").message


def test_one_repeated_key_among_very_many_is_found_quickly():
    keys = "".join(f'"k{number}":1,' for number in range(100_000))

    assert refusal("{" + keys + '"k99999":2}').param == "k99999"


@settings(deadline=None, max_examples=30)
@given(
    st.dictionaries(
        st.text(max_size=20),
        st.recursive(
            st.none()
            | st.booleans()
            | st.integers(-(2**63) + 1, 2**63 - 1)
            | st.floats(allow_nan=False, allow_infinity=False)
            | st.text(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
            max_leaves=30,
        ),
    )
)
def test_every_sound_object_is_read_as_the_standard_library_reads_it(body):
    assert parse(json.dumps(body)) == body


@given(st.binary(max_size=200))
def test_random_bytes_are_read_or_refused_but_nothing_else(data):
    with contextlib.suppress(InvalidBody):
        assert isinstance(parse(b'{"a": ' + data + b"}"), dict)


def test_a_large_body_costs_about_what_its_parsing_costs():
    body = json.dumps({"messages": [{"role": "user", "content": "x" * 200}] * 20_000}).encode()

    ours = min(timeit.repeat(lambda: parse(body), number=1))
    plain = min(timeit.repeat(lambda: json.loads(body), number=1))

    assert ours < 50 * plain

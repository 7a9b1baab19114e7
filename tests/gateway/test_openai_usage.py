"""Every spelling of usage is read, and goes out in OpenAI's words."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from billing.types import TokenUsage
from gateway.providers.openai import openai_usage


@pytest.mark.parametrize(
    ("raw", "usage"),
    [
        (
            {"prompt_tokens": 10, "completion_tokens": 2, "prompt_cache_hit_tokens": 8},
            TokenUsage(10, 2, cache_read_tokens=8),
        ),
        (
            {"prompt_tokens": 10, "completion_tokens": 2, "cached_tokens": 8},
            TokenUsage(10, 2, cache_read_tokens=8),
        ),
        (
            {"prompt_tokens": 10, "completion_tokens": 2, "num_cached_tokens": 8},
            TokenUsage(10, 2, cache_read_tokens=8),
        ),
        # Anthropic through a proxy: cached tokens are not inside the prompt's.
        (
            {
                "prompt_tokens": 10,
                "completion_tokens": 2,
                "total_tokens": 20,
                "cache_read_input_tokens": 8,
            },
            TokenUsage(18, 2, cache_read_tokens=8),
        ),
        # xAI: reasoning is not inside the completion's.
        (
            {
                "prompt_tokens": 12,
                "completion_tokens": 2,
                "total_tokens": 334,
                "completion_tokens_details": {"reasoning_tokens": 320},
            },
            TokenUsage(12, 322, reasoning_tokens=320),
        ),
        # Mistral: audio is not inside the prompt's.
        (
            {
                "prompt_tokens": 9,
                "completion_tokens": 201,
                "total_tokens": 585,
                "prompt_tokens_details": {"audio_tokens": 375},
            },
            TokenUsage(384, 201, audio_input_tokens=375),
        ),
        # Grok on Azure: more cached than prompt.
        (
            {
                "prompt_tokens": 5,
                "completion_tokens": 0,
                "prompt_tokens_details": {"cached_tokens": 9},
            },
            TokenUsage(5, 0, cache_read_tokens=5),
        ),
        (
            {
                "prompt_tokens": 9,
                "completion_tokens": 1,
                "prompt_tokens_details": {"cache_write_tokens": 4},
            },
            TokenUsage(9, 1, cache_write_5m_tokens=4),
        ),
        (
            {"prompt_tokens": 3, "completion_tokens": 1, "num_search_queries": 2},
            TokenUsage(3, 1, searches=2),
        ),
        # Mistral: audio is billed by the second.
        (
            {
                "prompt_audio_seconds": 4,
                "prompt_tokens": 9,
                "completion_tokens": 201,
                "total_tokens": 585,
                "prompt_tokens_details": {"audio_tokens": 375},
            },
            TokenUsage(384, 201, audio_input_tokens=375, seconds=4),
        ),
        # One of the two is what the other leaves of the total.
        ({"prompt_tokens": 3, "total_tokens": 5}, TokenUsage(3, 2)),
        ({"prompt_tokens": None, "completion_tokens": 2, "total_tokens": 5}, TokenUsage(3, 2)),
        # A total that fits nothing is not believed.
        ({"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 99}, TokenUsage(3, 2)),
        # Counts of 64 bits as text, and whole numbers as floats.
        ({"prompt_tokens": "3", "completion_tokens": 2.0}, TokenUsage(3, 2)),
        # An explicit zero is the provider's word.
        ({"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}, TokenUsage()),
    ],
)
def test_every_spelling_of_usage_is_read(raw, usage):
    assert openai_usage.read_usage(raw) == usage


def test_usage_goes_out_in_openais_words_beside_the_providers_own():
    raw = {
        "prompt_tokens": 10,
        "completion_tokens": 2,
        "total_tokens": 12,
        "prompt_cache_hit_tokens": 8,
        "prompt_tokens_details": {"video_tokens": 1},
        "cost": 0.1,
        "queue_time": 0.5,
    }

    usage = openai_usage.read_usage(raw)
    assert usage is not None
    wire = openai_usage.wire_usage(usage, extra=openai_usage.extra_usage(raw))

    assert wire["prompt_tokens_details"] == {
        "video_tokens": 1,
        "cached_tokens": 8,
        "audio_tokens": 0,
    }
    assert (wire["prompt_cache_hit_tokens"], wire["queue_time"]) == (8, 0.5)
    assert "cost" not in wire


COUNTS = st.one_of(st.integers(-2, 9), st.sampled_from((None, True, "3", 2.0, 10**9)))


@given(
    raw=st.fixed_dictionaries(
        {"prompt_tokens": COUNTS, "completion_tokens": COUNTS},
        optional={
            "total_tokens": COUNTS,
            "prompt_tokens_details": st.one_of(
                st.none(),
                st.dictionaries(
                    st.sampled_from(("cached_tokens", "audio_tokens", "image_tokens")), COUNTS
                ),
            ),
            "completion_tokens_details": st.one_of(
                st.none(),
                st.dictionaries(
                    st.sampled_from(("reasoning_tokens", "audio_tokens", "other")), COUNTS
                ),
            ),
        },
    ),
    tier=st.sampled_from((None, "flex", "default", ["flex"], {"name": "flex"})),
)
@example(raw={"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}, tier="flex")
def test_short_way_for_plain_usage_reads_what_the_long_way_reads(raw, tier):
    long_way = {**raw, "a field that nobody knows": 0}

    assert openai_usage.read_usage(raw, service_tier=tier) == openai_usage.read_usage(
        long_way, service_tier=tier
    )

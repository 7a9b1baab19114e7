"""Public ids: unique, ordered by time, and nothing else decodes."""

import re
import time
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exerati.lib import ids


@given(st.uuids())
def test_id_decodes_to_its_uuid(uuid):
    assert ids.decode(ids.encode(uuid)) == uuid


@given(st.uuids(), st.uuids())
def test_ids_sort_like_their_uuids(one, other):
    assert (ids.encode(one) < ids.encode(other)) == (one < other)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0" * 25,
        "0" * 27,
        "8" + "0" * 25,
        "i" * 26,
        "0" * 25 + "U",
        "0" * 25 + "é",
        "0" * 25 + "A",
    ],
)
def test_what_is_no_id_is_refused(text):
    with pytest.raises(ValueError, match="not an id"):
        ids.decode(text)


def test_uuid_is_of_version_7_and_carries_the_time():
    before = time.time_ns() // 1_000_000
    uuid = ids.new_uuid()
    after = time.time_ns() // 1_000_000

    assert (uuid.version, uuid.variant) == (7, UUID(int=0x8 << 60).variant)
    assert before <= uuid.int >> 80 <= after


def test_uuids_do_not_repeat():
    assert len({ids.new_uuid() for _ in range(10_000)}) == 10_000


def test_public_id_has_its_prefix():
    assert re.fullmatch(r"org_[0-9a-hjkmnp-tv-z]{26}", ids.public_id("org"))

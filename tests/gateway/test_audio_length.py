"""How long a recording is: read from its container, bounded by its bytes, and never by a claim alone."""

import base64
import json
import random

import pytest

from gateway.media import audio_length
from gateway.wire_checks import InvalidRequest
from tests.gateway import media_files
from tests.gateway.recorded import MISSING, SHARED


def measured(data):
    return audio_length.measure(data, param="file")


def test_wav_lasts_as_long_as_its_samples():
    recording = measured(media_files.wav(12))

    assert (recording.extension, recording.seconds, recording.most_seconds) == ("wav", 12, 12)
    assert recording.content_type == "audio/wav"


def test_wav_that_states_four_gigabytes_lasts_as_long_as_its_bytes():
    data = bytearray(media_files.wav(3))
    data[4:8] = data[40:44] = b"\xff\xff\xff\xff"

    assert measured(bytes(data)).seconds == 3


def test_mp3_is_read_by_its_frames():
    recording = measured(media_files.mp3(60))

    assert recording.extension == "mp3"
    assert 60 <= recording.seconds <= 61
    assert recording.most_seconds >= recording.seconds


def test_a_claim_of_less_than_the_bytes_can_be_does_not_lower_the_bound():
    flac = b"fLaC" + b"\x80\x00\x00\x22" + bytes(10)
    one_second_at_16_khz = (16_000 << 44 | 0 << 41 | 15 << 36 | 16_000).to_bytes(8, "big")
    data = flac + one_second_at_16_khz + bytes(16) + bytes(400_000)

    recording = measured(data)

    assert recording.extension == "flac"
    assert recording.seconds == 1
    assert recording.most_seconds == 101


def test_webm_of_a_browser_is_read_by_its_clusters():
    recording = measured(media_files.webm(100))

    assert (recording.extension, recording.seconds) == ("webm", 90 + 33)


def test_what_states_no_length_is_bound_by_the_slowest_codec():
    recording = measured(b"OggS" + bytes(64_000))

    assert recording.seconds == 5
    assert recording.most_seconds == 129


@pytest.mark.parametrize("data", [b"", b"x", b"MZ\x90\x00", b"{}" * 100, b"%PDF-1.7", bytes(999)])
def test_what_is_no_recording_is_refused(data):
    with pytest.raises(InvalidRequest) as caught:
        measured(data)

    assert (caught.value.param, caught.value.code) == ("file", "invalid_value")


def test_damaged_files_are_measured_or_refused_and_never_raise_anything_else():
    random.seed(7)
    samples = [media_files.wav(1), media_files.mp3(1), media_files.webm(30), b"OggS" + bytes(200)]
    samples += [b"fLaC" + bytes(200), b"\0\0\0\x20ftypM4A " + bytes(200)]
    for _ in range(1_500):
        data = bytearray(random.choice(samples))
        for _ in range(random.randrange(1, 20)):
            data[random.randrange(len(data))] = random.randrange(256)
        cut = bytes(data[: random.randrange(1, len(data))])
        try:
            recording = measured(cut)
        except InvalidRequest:
            continue
        assert 1 <= recording.seconds <= recording.most_seconds <= audio_length.MAX_SECONDS


def test_recorded_upload_is_as_long_as_its_provider_said():
    path = SHARED / "mistral" / "audio-transcriptions-plain-5c31.json"
    if not path.exists():
        pytest.skip(MISSING)
    request = json.loads(path.read_text())["interactions"][0]["request"]
    body = base64.b64decode(request["body"])
    audio = body[body.index(b"\r\n\r\n", body.index(b"filename=")) + 4 : body.rindex(b"\r\n--")]

    assert measured(audio).seconds == 4  # 3.7, by OpenAI's word on the same file

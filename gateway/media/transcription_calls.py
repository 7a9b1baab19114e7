"""Requests to write down what is said: what is checked, and the most they may use. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from billing.types import Price, TokenBound, TokenUsage
from gateway import wire_checks
from gateway.api_error import ApiError
from gateway.media import audio_length, form_fields, units
from gateway.media.audio_length import Recording
from gateway.media.forms import Form
from gateway.open_call import OpenCall
from gateway.serializers import checked_fields
from gateway.tokens import count_text
from gateway.wire_checks import Check, missing, unsupported_value, wrong_value

MAX_FILE_BYTES: Final = 25 * 1024 * 1024  # OpenAI's own limit
SUBTITLES: Final = frozenset({"srt", "vtt"})
# gpt-4o-transcribe counts 10 tokens a second (recorded: 37 for 3.7 s); Gemini 32, the most of all.
_TOKENS_PER_SECOND: Final = 10
_MOST_TOKENS_PER_SECOND: Final = 32
_MOST_OUTPUT_PER_SECOND: Final = 48  # recorded: 144 tokens for 3.7 s, with speakers
_MARGIN_TOKENS: Final = 512
MIN_SECONDS: Final = 10  # the least that some providers bill: the quirk `least_10_seconds`


@dataclass(frozen=True, slots=True)
class TranscriptionCall:
    """
    A checked request. `body` holds the known fields but for the model, the file and those we answer for ourselves
    (format, stream); `file_name` is ours, with the extension of what the bytes are.
    """

    model: str
    body: dict[str, Any]
    data: bytes
    recording: Recording
    format: str = "json"
    stream: bool = False
    ignored: tuple[str, ...] = ()

    @property
    def file_name(self) -> str:
        """The name the provider sees: it tells formats by the extension."""
        return f"audio.{self.recording.extension}"

    def bound(self, price: Price, *, context_tokens: int | None) -> TokenBound:
        """Return the most this call may use. Raises PriceMissing."""
        rates = units.require(
            price, "second_nanousd", "input_microusd_per_mtok", "audio_input_microusd_per_mtok"
        )
        most = context_tokens or 10**9
        seconds = max(self.recording.most_seconds, MIN_SECONDS)
        prompt = units.bytes_of(*_texts(self.body))
        bound = TokenBound(
            input_tokens=min(seconds * _MOST_TOKENS_PER_SECOND + prompt + _MARGIN_TOKENS, most),
            output_tokens=min(seconds * _MOST_OUTPUT_PER_SECOND + _MARGIN_TOKENS, most),
            seconds=seconds,
        )
        return units.priced(bound, rates=rates)

    def delivered(self, call: OpenCall) -> TokenUsage:
        """Return what was used: the recording whole, as its file states its length, and the text delivered."""
        audio = self.recording.seconds * _TOKENS_PER_SECOND
        prompt = count_text("\n".join(_texts(self.body)), model=self.model)
        usage = TokenUsage(
            input_tokens=audio + prompt,
            output_tokens=call.count_output(),
            audio_input_tokens=audio,
            seconds=self.recording.seconds,
        )
        return units.priced(usage, rates=call.price.rates)


def parse_transcription(form: Form) -> TranscriptionCall:
    """Return the checked call of POST /v1/audio/transcriptions. Raises InvalidRequest or ApiError."""
    return _call(form, _TRANSCRIPTION_CHECKS)


def parse_translation(form: Form) -> TranscriptionCall:
    """Return the checked call of POST /v1/audio/translations. Raises InvalidRequest or ApiError."""
    return _call(form, _TRANSLATION_CHECKS)


def _call(form: Form, checks: Mapping[str, Check]) -> TranscriptionCall:
    known, ignored = checked_fields(form_fields.typed(form.texts, _FORM_TYPES), checks)
    data = _file(form)
    if "model" not in known:
        missing("model")
    wanted = known.pop("response_format", "json")
    if "timestamp_granularities" in known and wanted != "verbose_json":
        wrong_value("timestamp_granularities", "it needs 'response_format' to be 'verbose_json'.")
    stream = known.pop("stream", False)
    if stream and wanted not in ("json", "text"):
        wrong_value("response_format", f"'{wanted}' cannot be streamed. Use 'json'.")
    return TranscriptionCall(
        model=known.pop("model"),
        body=known,
        data=data,
        recording=audio_length.measure(data, param="file"),
        format=wanted,
        stream=stream,
        ignored=ignored,
    )


def _file(form: Form) -> bytes:
    files = form.files_of("file")
    if not files:
        missing("file")
    if len(form.files) > 1:
        wrong_value("file", "expected one file.")
    data = files[0].data
    if len(data) > MAX_FILE_BYTES:
        raise ApiError(
            "request_too_large",
            f"The file is larger than {MAX_FILE_BYTES // 2**20} MiB. Compress it, or cut it into parts.",
            param="file",
        )
    return data


def _texts(body: Mapping[str, Any]) -> list[str]:
    return [body.get("prompt", ""), *body.get("keywords", ())]


def _format(value: Any, param: str) -> None:
    wire_checks.choice("json", "text", "srt", "verbose_json", "vtt", "diarized_json")(value, param)
    if value == "diarized_json":
        unsupported_value(param, "speakers are not told apart yet. Use 'json'.")


def _chunking(value: Any, param: str) -> None:
    """How the provider cuts the recording; it does not change what is billed."""
    if value.__class__ is not dict:
        wire_checks.choice("auto")(value, param)
        return
    wire_checks.choice("server_vad")(value.get("type"), f"{param}.type")
    for name in value:
        wire_checks.choice("type", "prefix_padding_ms", "silence_duration_ms", "threshold")(
            name, param
        )


def _names(*allowed: str) -> Check:
    check = wire_checks.choice(*allowed) if allowed else wire_checks.name

    def check_all(value: Any, param: str) -> None:
        for item in value:
            check(item, param)

    return check_all


_SHARED: Final[Mapping[str, Check]] = {
    "model": wire_checks.name,
    "prompt": wire_checks.text,
    "response_format": _format,
    "temperature": wire_checks.number(0, 1),
}
# Every parameter of the two requests in OpenAI's specification 2.3.0 (2026-08-21), but for the file.
_TRANSLATION_CHECKS: Final = _SHARED
_TRANSCRIPTION_CHECKS: Final[Mapping[str, Check]] = {
    **_SHARED,
    "language": wire_checks.name,
    "languages": _names(),
    "keywords": _names(),
    "include": _names("logprobs"),
    "timestamp_granularities": _names("word", "segment"),
    "stream": wire_checks.boolean,
    "chunking_strategy": _chunking,
    "known_speaker_names": wire_checks.unsupported("Speakers are not told apart yet."),
    "known_speaker_references": wire_checks.unsupported("Speakers are not told apart yet."),
}
_FORM_TYPES: Final = {
    "temperature": "number",
    "stream": "boolean",
    "languages": "array",
    "keywords": "array",
    "include": "array",
    "timestamp_granularities": "array",
    "known_speaker_names": "array",
    "known_speaker_references": "array",
}

"""POST /v1/audio/speech, /v1/audio/transcriptions and /v1/audio/translations."""

import asyncio
from collections.abc import Callable
from typing import Any, ClassVar

from django.http import HttpResponse, HttpResponseBase

from billing import pricing
from billing.types import TokenUsage
from exerati.lib.money import usd_text
from gateway.api.base import Relayed, encode, json_response, parse_body, wants_route
from gateway.api.media import (
    MediaView,
    event_stream,
    form_wishes,
    parse_form,
    tell_of,
    told_route,
)
from gateway.context import CallContext
from gateway.dialects.chat import with_cost
from gateway.dispatch import BuildRequest, answer_whole, serve_as
from gateway.media import subtitles, transcription_calls, units, wire_units
from gateway.media.forms import Form
from gateway.media.speech_calls import CONTENT_TYPES, SpeechCall, parse_speech
from gateway.media.streams import AudioStream, AudioWriter, Headers, MediaEvents
from gateway.media.transcription_calls import SUBTITLES, TranscriptionCall
from gateway.open_call import OpenCall
from gateway.providers.base import (
    Adapter,
    ServeAs,
    StreamDecoder,
    StreamTranslator,
    UpstreamRequest,
    UpstreamResponse,
    WholeAnswer,
)
from gateway.providers.form_data import FilePart
from gateway.providers.google import gemini_speech
from gateway.providers.google.gemini import SPEAKING as GEMINI
from gateway.providers.google.gemini import GeminiAdapter
from gateway.providers.google.gemini_speech import GeminiSpeech
from gateway.providers.openai import openai_media, openai_media_stream
from gateway.providers.openai.openai_media_stream import (
    BytesDecoder,
    SpeechStream,
    TranscriptStream,
)
from gateway.routes import preferences, route_detail
from gateway.snapshot import RouteSnapshot
from gateway.streaming import EventStream, StreamReader, relay


class Speech(MediaView):
    """POST /v1/audio/speech: bytes as they are spoken, or events with `stream_format: sse`."""

    endpoint = "audio.speech"
    kind = "speech"

    speaking = openai_media.SPEAKING | GEMINI

    async def post(self, context: CallContext) -> HttpResponseBase:
        """Answer with audio."""
        body = parse_body(context)
        wishes = preferences.take(body)
        wanted = parse_speech(body)
        self.note_ignored(context, wanted.ignored + wishes.ignored)
        call = await self.let_in(
            context,
            self.served(context, wanted.model, wishes),
            wishes=wishes,
            bound=lambda one: wanted.bound(one.price),
            measure=wanted.delivered,
            streamed=True,
        )
        try:
            await relay(
                context.engine,
                call,
                stream=_speech_stream(context, call, wanted),
                build=self.builder(wanted, call),
                serve_as=serve_as(call, prefix="speech-"),
                writer=MediaEvents(wire_units.speech) if wanted.as_events else AudioWriter(),
                before_end=told_route(context, call) if wanted.as_events else bytes,
                reader=_speech_reader(call, wanted),
            )
        finally:
            context.stop_watching()
        return Relayed()

    def builder(self, wanted: SpeechCall, call: OpenCall) -> BuildRequest:
        """Return what makes the request to a route."""

        def build(adapter: Adapter, route: RouteSnapshot) -> UpstreamRequest:
            if isinstance(adapter, GeminiAdapter):
                return gemini_speech.request(
                    adapter,
                    route.upstream,
                    upstream_model=route.upstream_model,
                    body=wanted.body,
                    most_tokens=call.bound.output_tokens,
                )
            body: dict[str, Any] = {**wanted.body, "model": route.upstream_model}
            # Only events tell the tokens, so a model priced by them is asked for events whatever the client wants.
            if call.price.rates.output_microusd_per_mtok is not None:
                body["stream_format"] = "sse"
            return openai_media.json_request(
                route.upstream, path="/audio/speech", body=body, accept="*/*"
            )

        return build


def _speech_stream(context: CallContext, call: OpenCall, wanted: SpeechCall) -> EventStream:
    if wanted.as_events:
        return event_stream(context, call)

    def own_headers() -> Headers:
        kind = CONTENT_TYPES[wanted.format_of(call)]
        headers = [(b"content-type", kind.encode("ascii")), *route_detail.headers(call)]
        if call.price.rates.output_microusd_per_mtok is None:  # known before the last byte
            usage = TokenUsage(characters=call.bound.characters)
            cost = pricing.charge_nanousd(usage, price=call.price)
            headers.append((b"x-exerati-cost-usd", usd_text(cost).encode()))
        return headers

    return AudioStream(context, call, own_headers=own_headers)


def _speech_reader(call: OpenCall, wanted: SpeechCall) -> StreamReader:
    def translator(
        adapter: Adapter, route: RouteSnapshot, response: UpstreamResponse, *, serve_as: ServeAs
    ) -> StreamTranslator:
        if isinstance(adapter, GeminiAdapter):
            return GeminiSpeech(
                serve_as=serve_as,
                tell=tell_of(call),
                format=wanted.format_of(call),
                to_events=wanted.as_events,
            )
        return SpeechStream(
            serve_as=serve_as,
            tell=tell_of(call),
            from_events=openai_media_stream.is_events(response.headers),
            to_events=wanted.as_events,
        )

    def decoder(response: UpstreamResponse) -> StreamDecoder:
        kind = response.headers.get("content-type", "")
        if kind.startswith(("text/event-stream", "application/json")):
            return openai_media_stream.event_decoder(response.headers)
        return BytesDecoder()

    return StreamReader(translator=translator, decoder=decoder)


class TranscriptionView(MediaView):
    """Answers with what is said in a recording, in any format that OpenAI has."""

    kind = "transcription"
    path: ClassVar[str]

    def parse(self, form: Form) -> TranscriptionCall:
        """Return the checked request."""
        raise NotImplementedError

    async def post(self, context: CallContext) -> HttpResponseBase:
        """Answer with a transcript, or with a stream of it."""
        form = await parse_form(context)
        wishes = form_wishes(form)
        loop = asyncio.get_running_loop()
        wanted = await loop.run_in_executor(None, self.parse, form)
        self.note_ignored(context, wanted.ignored + wishes.ignored)
        call = await self.let_in(
            context,
            self.served(context, wanted.model, wishes),
            wishes=wishes,
            bound=lambda one: wanted.bound(one.price, context_tokens=one.model.context_tokens),
            measure=wanted.delivered,
            streamed=wanted.stream,
        )
        chosen: list[RouteSnapshot] = []
        build = self.builder(wanted, call, chosen=chosen)
        if wanted.stream:
            return await self.relay(context, call, build=build)

        def read(adapter: Adapter, data: bytes) -> WholeAnswer:
            answer = openai_media.transcript(data, quirks=chosen[-1].upstream.quirks)
            answer.usage = units.told(answer.usage, rates=call.price.rates)
            return answer

        return await self.whole(context, call, wanted=wanted, build=build, read=read)

    def builder(
        self, wanted: TranscriptionCall, call: OpenCall, *, chosen: list[RouteSnapshot]
    ) -> BuildRequest:
        """Return what makes the request to a route, and notes the route in `chosen`."""

        def build(adapter: Adapter, route: RouteSnapshot) -> UpstreamRequest:
            chosen.append(route)
            by_seconds = call.price.rates.second_nanousd is not None
            fields = openai_media.transcription_fields(
                route.upstream,
                upstream_model=route.upstream_model,
                body=wanted.body,
                told_format=_told_format(wanted, by_seconds=by_seconds),
            )
            recording = wanted.recording
            part = FilePart("file", wanted.file_name, recording.content_type, wanted.data)
            return openai_media.form_request(
                route.upstream, path=self.path, fields=fields, files=[part], accept="*/*"
            )

        return build

    async def whole(
        self,
        context: CallContext,
        call: OpenCall,
        *,
        wanted: TranscriptionCall,
        build: BuildRequest,
        read: Callable[[Adapter, bytes], WholeAnswer],
    ) -> HttpResponse:
        """Answer whole, as JSON or as plain text."""
        try:
            answer, cost = await answer_whole(context.engine, call, build=build, read=read)
        finally:
            context.stop_watching()
            context.response_headers += route_detail.headers(call)
        context.add_header("x-exerati-cost-usd", usd_text(cost))
        if wanted.format in ("text", *SUBTITLES):
            return HttpResponse(_text(answer.body, wanted.format), content_type=_PLAIN)
        shown = _shown(answer.body, wanted, usage=answer.usage or wanted.delivered(call))
        body = with_cost(shown, cost_nanousd=cost)
        if wants_route(context, call.wishes):
            body["route"] = route_detail.detail(call)
        return json_response(encode(body))

    async def relay(
        self, context: CallContext, call: OpenCall, *, build: BuildRequest
    ) -> HttpResponseBase:
        """Answer as a stream of events, made of a whole answer where the provider has no streams."""

        def translator(
            adapter: Adapter, route: RouteSnapshot, response: UpstreamResponse, *, serve_as: ServeAs
        ) -> StreamTranslator:
            return TranscriptStream(
                serve_as=serve_as, tell=tell_of(call), quirks=route.upstream.quirks
            )

        try:
            await relay(
                context.engine,
                call,
                stream=event_stream(context, call),
                build=build,
                serve_as=serve_as(call, prefix="trsc-"),
                writer=MediaEvents(wire_units.transcript_event),
                before_end=told_route(context, call),
                reader=StreamReader(
                    translator=translator,
                    decoder=lambda response: openai_media_stream.event_decoder(response.headers),
                ),
            )
        finally:
            context.stop_watching()
        return Relayed()


class Transcriptions(TranscriptionView):
    """POST /v1/audio/transcriptions."""

    endpoint = "audio.transcriptions"
    path = "/audio/transcriptions"

    def parse(self, form: Form) -> TranscriptionCall:
        """Return the checked request."""
        return transcription_calls.parse_transcription(form)


class Translations(TranscriptionView):
    """POST /v1/audio/translations: into English."""

    endpoint = "audio.translations"
    path = "/audio/translations"

    def parse(self, form: Form) -> TranscriptionCall:
        """Return the checked request."""
        return transcription_calls.parse_translation(form)


_PLAIN = "text/plain; charset=utf-8"


def _told_format(wanted: TranscriptionCall, *, by_seconds: bool) -> str:
    """
    Return the format to ask the provider for: one that tells what is billed, and holds what the client wants.

    Plain text and subtitles tell no usage, and not every provider writes them; they are written here.
    """
    if wanted.stream and not by_seconds:
        return "stream"  # Whisper, billed by the second, has no streams
    if by_seconds or wanted.format in (*SUBTITLES, "verbose_json"):
        return "verbose_json"
    return "json"


def _text(transcript: dict[str, Any], format: str) -> str:
    if format == "text":
        return f"{transcript['text']}\n"
    return subtitles.write(transcript, format=format)


def _shown(
    transcript: dict[str, Any], wanted: TranscriptionCall, *, usage: TokenUsage
) -> dict[str, Any]:
    """
    Return the transcript in the format asked for, with each field that OpenAI's schema requires; a provider that told
    more is cut to it.
    """
    told = transcript.get("usage")
    told = told if isinstance(told, dict) else {}
    if wanted.format == "json":
        kept = ("text", "logprobs", "languages")
        shown = {name: transcript[name] for name in kept if name in transcript}
        return shown | {"usage": wire_units.transcript(told, usage)}
    seconds = wanted.recording.seconds
    transcript["duration"] = transcript.get("duration") or float(seconds)
    transcript["language"] = transcript.get("language") or wanted.body.get("language", "")
    if "word" not in wanted.body.get("timestamp_granularities", ()):
        transcript.pop("words", None)
    transcript["usage"] = wire_units.duration(told, seconds=usage.seconds or seconds)
    return transcript

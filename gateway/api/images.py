"""POST /v1/images/generations and /v1/images/edits, whole and streamed."""

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

from django.http import HttpResponseBase

from billing.types import TokenBound, TokenUsage
from gateway.api.base import Relayed, parse_body
from gateway.api.media import (
    MediaView,
    Served,
    event_stream,
    form_wishes,
    parse_form,
    tell_of,
    told_route,
)
from gateway.context import CallContext
from gateway.dialects.chat import with_cost
from gateway.dispatch import BuildRequest, serve_as
from gateway.media import forms, image_calls, units, wire_units
from gateway.media.image_calls import ImageCall
from gateway.media.streams import MediaEvents
from gateway.open_call import OpenCall
from gateway.providers.base import (
    Adapter,
    ServeAs,
    StreamTranslator,
    UpstreamRequest,
    UpstreamResponse,
    WholeAnswer,
)
from gateway.providers.form_data import FilePart
from gateway.providers.google import gemini_images
from gateway.providers.google.gemini import SPEAKING as GEMINI
from gateway.providers.google.gemini import GeminiAdapter
from gateway.providers.google.gemini_images import Picture
from gateway.providers.openai import openai_media, openai_media_stream
from gateway.providers.openai.openai_media_stream import ReadImages
from gateway.routes import preferences
from gateway.routes.preferences import Preferences
from gateway.snapshot import RouteSnapshot
from gateway.streaming import StreamReader, relay


class ImageView(MediaView):
    """Answers with images."""

    kind = "image"
    path: ClassVar[str]
    event_kind: ClassVar[str]

    speaking = openai_media.SPEAKING | GEMINI

    async def parse(self, context: CallContext) -> tuple[ImageCall, Preferences]:
        """Return the checked request, and what it wants of its routing."""
        raise NotImplementedError

    async def post(self, context: CallContext) -> HttpResponseBase:
        """Answer with images, or with a stream of them."""
        wanted, wishes = await self.parse(context)
        ignored = wanted.ignored + wishes.ignored
        self.note_ignored(context, ignored)
        call = await self.let_in(
            context,
            self.served(context, wanted.model, wishes),
            wishes=wishes,
            bound=partial(_bound, wanted),
            measure=partial(_as_asked, wanted),
            streamed=wanted.stream,
        )
        shown = serve_as(call, prefix="img-")
        note = partial(self.note_set_aside, context, ignored=ignored)
        build = self.builder(wanted, call, note=note)
        if wanted.stream:
            return await self.relay(context, call, build=build, shown=shown)

        def read(adapter: Adapter, data: bytes) -> WholeAnswer:
            answer = _reader(adapter)(data, serve_as=shown)
            drawn = len(answer.body["data"])
            usage = answer.usage
            if usage is None and call.price.rates.image_nanousd is not None:
                usage = TokenUsage(images=drawn)  # what was delivered tells it
            answer.usage = units.told(usage, rates=call.price.rates)
            return answer

        return await self.answer(context, call, build=build, read=read, write=_with_cost)

    def tell_counted(self, body: dict[str, Any], usage: TokenUsage) -> None:
        """Tell the tokens that are charged."""
        body["usage"] = wire_units.image({}, usage)

    def builder(
        self, wanted: ImageCall, call: OpenCall, *, note: Callable[[tuple[str, ...]], None]
    ) -> BuildRequest:
        """Return what makes the request to a route; `note` is told what its provider has no word for."""

        def build(adapter: Adapter, route: RouteSnapshot) -> UpstreamRequest:
            if isinstance(adapter, GeminiAdapter):
                request = gemini_images.request(
                    adapter,
                    route.upstream,
                    upstream_model=route.upstream_model,
                    body=wanted.body,
                    pictures=_pictures(wanted),
                    most_tokens=call.bound.output_tokens,
                )
                note(request.ignored)
                return request
            if call.attempts:
                note(())
            body = openai_media.image_body(wanted.body, upstream_model=route.upstream_model)
            accept = "text/event-stream" if wanted.stream else "application/json"
            if not wanted.uploads:
                return openai_media.json_request(
                    route.upstream, path=self.path, body=body, accept=accept
                )
            return openai_media.form_request(
                route.upstream,
                path=self.path,
                fields=openai_media.form_fields(body),
                files=_parts(wanted),
                accept=accept,
            )

        return build

    async def relay(
        self, context: CallContext, call: OpenCall, *, build: BuildRequest, shown: ServeAs
    ) -> HttpResponseBase:
        """Answer as a stream of events."""

        def translator(
            adapter: Adapter, route: RouteSnapshot, response: UpstreamResponse, *, serve_as: ServeAs
        ) -> StreamTranslator:
            return openai_media_stream.ImageStream(
                serve_as=serve_as,
                tell=tell_of(call),
                kind=self.event_kind,
                read=_reader(adapter),
            )

        try:
            await relay(
                context.engine,
                call,
                stream=event_stream(context, call),
                build=build,
                serve_as=shown,
                writer=MediaEvents(wire_units.image),
                before_end=told_route(context, call),
                reader=StreamReader(
                    translator=translator,
                    decoder=lambda response: openai_media_stream.event_decoder(response.headers),
                ),
            )
        finally:
            context.stop_watching()
        return Relayed()


class ImageGenerations(ImageView):
    """POST /v1/images/generations."""

    endpoint = "images.generations"
    path = "/images/generations"
    event_kind = "image_generation"

    async def parse(self, context: CallContext) -> tuple[ImageCall, Preferences]:
        """Return the checked request, and what it wants of its routing."""
        body = parse_body(context)
        wishes = preferences.take(body)
        return image_calls.parse_generation(body), wishes


class ImageEdits(ImageView):
    """POST /v1/images/edits, with a form (files) or JSON (addresses and data URLs)."""

    endpoint = "images.edits"
    path = "/images/edits"
    event_kind = "image_edit"

    async def parse(self, context: CallContext) -> tuple[ImageCall, Preferences]:
        """Return the checked request, and what it wants of its routing."""
        if forms.is_form(context.header(b"content-type")):
            form = await parse_form(context)
            wishes = form_wishes(form)
            return image_calls.parse_edit_form(form), wishes
        body = parse_body(context)
        wishes = preferences.take(body)
        return image_calls.parse_edit(body), wishes


def _bound(wanted: ImageCall, one: Served) -> TokenBound:
    least = gemini_images.most_tokens(wanted.size) if one.is_by(GEMINI) else 0
    return wanted.bound(one.price, least_each=least)


def _as_asked(wanted: ImageCall, call: OpenCall) -> TokenUsage:
    is_gemini = call.serving is not None and call.serving.upstream.api in GEMINI
    each = gemini_images.usual_tokens(wanted.size) if is_gemini else None
    return wanted.as_asked(call.price, each=each)


def _reader(adapter: Adapter) -> ReadImages:
    is_gemini = isinstance(adapter, GeminiAdapter)
    return gemini_images.answer if is_gemini else openai_media.image_answer


def _pictures(wanted: ImageCall) -> list[Picture]:
    """Return the images to be changed, those of a form and those named by address; a mask is told apart."""
    if any(upload.field == "mask" for upload in wanted.uploads):
        raise gemini_images.no_mask()
    uploads = [(image_calls.content_type_of(one.data), one.data) for one in wanted.uploads]
    named = [image["image_url"] for image in wanted.body.get("images", ())]
    return [*uploads, *named]


def _parts(wanted: ImageCall) -> list[FilePart]:
    """Return the files to send, under names of ours; several images are a list."""
    several = sum(upload.field == "image" for upload in wanted.uploads) > 1
    parts = []
    for number, upload in enumerate(wanted.uploads):
        content_type = image_calls.content_type_of(upload.data)
        field = "image[]" if several and upload.field == "image" else upload.field
        name = f"{upload.field}-{number}.{content_type.rpartition('/')[2]}"
        parts.append(FilePart(field, name, content_type, upload.data))
    return parts


def _with_cost(answer: dict[str, Any], *, cost_nanousd: int) -> dict[str, Any]:
    """Return the answer with its cost, beside tokens in any case: images with a fee of their own have none."""
    told = answer.get("usage")
    answer["usage"] = wire_units.image(told if isinstance(told, dict) else {}, TokenUsage())
    return with_cost(answer, cost_nanousd=cost_nanousd)

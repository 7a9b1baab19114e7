"""POST /v1/images/generations and /v1/images/edits, whole and streamed."""

from typing import Any, ClassVar

from django.http import HttpResponseBase

from billing.types import TokenUsage
from gateway.api.base import Relayed, parse_body
from gateway.api.media import MediaView, parse_form, tell_of, with_usage
from gateway.context import CallContext
from gateway.dialects.chat import with_cost
from gateway.dispatch import BuildRequest, serve_as
from gateway.media import forms, image_calls, units
from gateway.media.image_calls import ImageCall
from gateway.media.streams import MediaEvents
from gateway.open_call import OpenCall
from gateway.providers import openai_media, openai_media_stream
from gateway.providers.base import (
    Adapter,
    ServeAs,
    StreamTranslator,
    UpstreamRequest,
    UpstreamResponse,
    WholeAnswer,
)
from gateway.providers.form_data import FilePart
from gateway.snapshot import RouteSnapshot
from gateway.streaming import EventStream, StreamReader, relay

_NO_TOKENS = {
    "input_tokens": 0,
    "input_tokens_details": {"image_tokens": 0, "text_tokens": 0},
    "output_tokens": 0,
    "total_tokens": 0,
}


class ImageView(MediaView):
    """Answers with images."""

    kind = "image"
    path: ClassVar[str]
    event_kind: ClassVar[str]

    async def parse(self, context: CallContext) -> ImageCall:
        """Return the checked request."""
        raise NotImplementedError

    async def post(self, context: CallContext) -> HttpResponseBase:
        """Answer with images, or with a stream of them."""
        wanted = await self.parse(context)
        self.note_ignored(context, wanted.ignored)
        model, price = self.find(context, wanted.model)
        call = await self.let_in(
            context,
            model=model,
            bound=wanted.bound(price),
            measure=lambda call: wanted.as_asked(call.price),
            streamed=wanted.stream,
        )
        shown = serve_as(call, prefix="img-")
        build = self.builder(wanted)
        if wanted.stream:
            return await self.relay(context, call, build=build, shown=shown)

        def read(adapter: Adapter, data: bytes) -> WholeAnswer:
            answer = openai_media.image_answer(data, serve_as=shown)
            drawn = len(answer.body["data"])
            usage = answer.usage
            if usage is None and call.price.rates.image_nanousd is not None:
                usage = TokenUsage(images=drawn)  # what was delivered tells it
            answer.usage = units.told(usage, rates=call.price.rates)
            return answer

        return await self.answer(context, call, build=build, read=read, write=_with_cost)

    def builder(self, wanted: ImageCall) -> BuildRequest:
        """Return what makes the request to a route."""

        def build(adapter: Adapter, route: RouteSnapshot) -> UpstreamRequest:
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
                serve_as=serve_as, tell=tell_of(call), kind=self.event_kind
            )

        try:
            await relay(
                context.engine,
                call,
                stream=EventStream(context.send, context.start_stream, call),
                build=build,
                serve_as=shown,
                writer=MediaEvents(),
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

    async def parse(self, context: CallContext) -> ImageCall:
        """Return the checked request."""
        return image_calls.parse_generation(parse_body(context))


class ImageEdits(ImageView):
    """POST /v1/images/edits, with a form (files) or JSON (addresses and data URLs)."""

    endpoint = "images.edits"
    path = "/images/edits"
    event_kind = "image_edit"

    async def parse(self, context: CallContext) -> ImageCall:
        """Return the checked request."""
        if forms.is_form(context.header(b"content-type")):
            return image_calls.parse_edit_form(await parse_form(context))
        return image_calls.parse_edit(parse_body(context))


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
    return with_cost(with_usage(answer, dict(_NO_TOKENS)), cost_nanousd=cost_nanousd)

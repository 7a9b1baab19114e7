"""What an answer tells of how it came about: headers always, the tries in the body where they are asked for."""

from typing import Any

import msgspec

from gateway import error_words
from gateway.open_call import OpenCall
from gateway.providers.base import ServeAs
from gateway.sse import frame


def headers(call: OpenCall) -> list[tuple[bytes, bytes]]:
    """Return the headers that name the provider that served and how many were tried; none before any was."""
    if call.serving is None:
        return []
    return [
        (b"x-exerati-route", call.serving.upstream.name.encode()),
        (b"x-exerati-attempts", b"%d" % call.tries),
    ]


def detail(call: OpenCall) -> dict[str, Any]:
    """Return the provider that served, and every try: no account, no address, no provider's name for the model."""
    served = call.serving
    return {
        "provider": served.upstream.name if served else None,
        "region": (served.region or None) if served else None,
        "model": call.model.name,
        "attempts": [
            {
                "provider": attempt.provider,
                "status": attempt.status,
                "error_code": error_words.code_of_kind(attempt.error_code) or None,
                "first_byte_ms": attempt.first_byte_ms,
                "duration_ms": attempt.duration_ms,
            }
            for attempt in call.attempts
        ],
    }


def event(call: OpenCall, *, shown: ServeAs, chunk_object: str) -> bytes:
    """
    Return the detail as the event of a stream: a chunk without choices, or, in wire formats whose events have fixed
    types (`chunk_object` is ""), a comment, which every client passes over.
    """
    if not chunk_object:
        return b": exerati-route " + msgspec.json.encode(detail(call)) + b"\n\n"
    chunk = {
        "id": shown.id,
        "object": chunk_object,
        "created": shown.created,
        "model": call.model.name,
        "choices": [],
        "route": detail(call),
    }
    return frame(msgspec.json.encode(chunk))

"""What the tests of images, audio, moderation and reranking have in common: models with unit prices, and clients."""

import itertools
from typing import Any

from openai import OpenAI

from gateway.models import Model, Route
from tests import factories
from tests.gateway.conftest import Shop

_numbers = itertools.count(1)


def sell(shop: Shop, kind: str, **rates: int) -> str:
    """Give the shop a model of a kind, served by the stand-in and priced at these rates alone; return its name."""
    name = f"{kind}-{next(_numbers)}-{shop.model}"
    context_tokens = 16_000 if kind == "transcription" else None
    model = Model.objects.create(
        name=name, title=name, owned_by="test", kind=kind, context_tokens=context_tokens
    )
    Route.objects.create(model=model, provider=shop.provider, upstream_model=name)
    unpriced = {"input_microusd_per_mtok": None, "output_microusd_per_mtok": None}
    factories.make_price(name, **{**unpriced, **rates})
    shop.relearn()
    return name


def client_of(shop: Shop, secret: str = "", **options: Any) -> Any:
    """Return the official client with one try, untyped: answers have fields of ours that its types do not know."""
    return OpenAI(
        base_url=shop.gateway.base_url,
        api_key=secret or shop.secret,
        timeout=60,
        max_retries=0,
        **options,
    )


def form(
    *parts: tuple[str, str | tuple[str, str, bytes]], boundary: str = "b0"
) -> tuple[str, bytes]:
    """Return content type and body of a form; a part is a field and its text, or name, media type and bytes."""
    lines = []
    for field, value in parts:
        if isinstance(value, str):
            head = f'Content-Disposition: form-data; name="{field}"\r\n\r\n'
            data = value.encode()
        else:
            name, kind, data = value
            head = (
                f'Content-Disposition: form-data; name="{field}"; filename="{name}"\r\n'
                f"Content-Type: {kind}\r\n\r\n"
            )
        lines += [f"--{boundary}\r\n".encode(), head.encode(), data, b"\r\n"]
    return f"multipart/form-data; boundary={boundary}", b"".join(
        lines
    ) + f"--{boundary}--\r\n".encode()

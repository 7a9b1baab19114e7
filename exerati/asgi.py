"""One ASGI application: `/v1` goes to the gateway's lean handler, the rest to Django."""

import os
from collections.abc import Awaitable, Callable
from typing import Any

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "exerati.settings.base")

django_site: Any = get_asgi_application()  # its types know dicts alone

from exerati import statement_limit  # noqa: E402  as below
from exerati.body_limit import limited  # noqa: E402  as below
from exerati.compression import compressed  # noqa: E402  as below
from gateway.asgi import Gateway  # noqa: E402  models may be imported only once Django is set up

gateway = Gateway()
site = compressed(django_site)

Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]


async def application(scope: Any, receive: Receive, send: Send) -> None:
    """Answer one connection."""
    if scope["type"] == "http":
        path = scope["path"]
        if path.startswith("/v1/") or path == "/v1":
            await gateway(scope, receive, send)
        else:
            scope["exerati.gateway"] = gateway  # for calls that a member makes from the dashboard
            await limited(site, scope, receive, send)
    elif scope["type"] == "lifespan":
        await _lifespan(receive, send)


async def _lifespan(receive: Receive, send: Send) -> None:
    await receive()
    statement_limit.begin()
    await gateway.startup()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await gateway.shutdown()
    await send({"type": "lifespan.shutdown.complete"})

"""`python -m tests.fake_stripe [--port 0]`: serves until it is ended, and prints its address first."""

import argparse
import asyncio
import os
import socket
import time

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from tests.fake_stripe import control
from tests.fake_stripe.app import App

IDS_A_SECOND = 100


class Protocol(HttpToolsProtocol):
    """uvicorn's own, which also shows the connection, so that it can be cut."""

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self.scope["transport"] = self.transport  # type: ignore[typeddict-unknown-key]  # ours


def main() -> None:
    """Serve on the loopback."""
    parser = argparse.ArgumentParser(prog="python -m tests.fake_stripe", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument(
        "--webhook", default="", help="tell this address, signed by FAKE_STRIPE_WEBHOOK_SECRET"
    )
    options = parser.parse_args()
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", options.port))
    listener.listen(128)  # before anybody is told of it
    app = App()
    app.store.base_url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    if options.webhook:
        # The site that it tells keeps the ids of a stand-in before this one, so none of them may come again.
        app.store.first_number = int(time.time()) * IDS_A_SECOND
        secret = os.environ["FAKE_STRIPE_WEBHOOK_SECRET"]
        control.listen(app, {"url": options.webhook, "secret": secret})
    print(app.store.base_url, flush=True)  # noqa: T201  whoever starts it reads this line
    config = uvicorn.Config(
        app,
        http=Protocol,
        loop="asyncio",
        log_level="critical",
        lifespan="off",
        access_log=False,
    )
    asyncio.run(uvicorn.Server(config).serve(sockets=[listener]))


if __name__ == "__main__":
    main()

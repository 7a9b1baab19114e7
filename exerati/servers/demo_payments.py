"""
Payments of the demo: `up` starts the stand-in for Stripe where no Stripe key is set, so that credit can be "bought".

It is a process on this machine that moves no money. Production settings refuse to know it.
"""

import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass

from exerati.servers.local_state import ROOT
from exerati.servers.supervisor import Service, child

HOST = "127.0.0.1"
OFF = "off"


@dataclass(frozen=True, slots=True)
class StandIn:
    """A stand-in that is to run: its port, the key it takes, and the secret it signs webhooks with."""

    port: int
    api_key: str
    webhook_secret: str

    @property
    def environment(self) -> dict[str, str]:
        """What settings need to pay with it."""
        return {
            "STRIPE_SECRET_KEY": self.api_key,
            "STRIPE_WEBHOOK_SECRET": self.webhook_secret,
            "EXERATI_STRIPE_API_BASE": f"http://{HOST}:{self.port}",
        }

    def is_ready(self) -> bool:
        """Return whether it takes calls."""
        with socket.socket() as probe:
            return probe.connect_ex((HOST, self.port)) == 0

    def service(self, *, site_url: str) -> Service:
        """Return the process that tells the site of what was paid."""
        arguments = ["--port", str(self.port), "--webhook", f"{site_url}/stripe/webhook"]
        return child(
            "stripe",
            ["-m", "tests.fake_stripe", *arguments],
            environment={"FAKE_STRIPE_WEBHOOK_SECRET": self.webhook_secret},
        )


def stand_in(named: Mapping[str, str | None]) -> StandIn | None:
    """
    Return the stand-in to start; `named` is what is set.

    None where a key is set, payments are switched off, or the checkout came without its tests.
    """
    if named.get("STRIPE_SECRET_KEY") or named.get("EXERATI_PAYMENTS") == OFF:
        return None
    if not (ROOT / "tests" / "fake_stripe").is_dir():
        return None
    with socket.socket() as free:
        free.bind((HOST, 0))
        port = free.getsockname()[1]
    return StandIn(
        port=port,
        api_key=f"sk_test_stand_in_{secrets.token_hex(12)}",
        webhook_secret=f"whsec_{secrets.token_hex(24)}",
    )

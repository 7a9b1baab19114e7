"""`manage.py provider add|list|costs`: whom we buy from, and what they say they charge us."""

import sys
from argparse import ArgumentParser, ArgumentTypeError
from decimal import Decimal, InvalidOperation
from pathlib import Path
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.core.management.base import CommandError
from django.core.validators import validate_slug
from django.utils import timezone

from billing.comparisons import provider_costs
from billing.price_versions import RateSheet
from exerati.lib.operator import Answer, OperatorCommand
from gateway import snapshot
from gateway.models import Provider
from gateway.providers.credentials import CredentialInvalid
from gateway.routes import provider_accounts
from gateway.routes.provider_accounts import Kind, OwnModel

MICROUSD_PER_USD = 1_000_000
PLACES = ("region", "project", "resource")


def price(text: str) -> int:
    """Read USD per million tokens as micro-USD per million tokens; for `type=` of an option."""
    try:
        microusd = Decimal(text.removeprefix("$")) * MICROUSD_PER_USD
    except InvalidOperation:
        microusd = Decimal(-1)
    if not microusd.is_finite() or microusd < 0 or microusd != microusd.to_integral_value():
        raise ArgumentTypeError(f"{text!r} is no price in USD per million tokens, such as 0.15")
    return int(microusd)


def pair(text: str) -> tuple[str, str]:
    """Read `public=upstream`; the upstream name is the public one if none is given."""
    name, _, upstream_model = text.partition("=")
    if not name:
        raise ArgumentTypeError(f"{text!r} is not of the form public=upstream")
    return name, upstream_model or name


class Command(OperatorCommand):
    """Providers."""

    help = "Add providers, any OpenAI-compatible server among them, and list them."
    actions = {
        "add": "add a provider or change its address and key",
        "list": "list providers",
        "costs": "take in a file of what a provider charges us, by day and model",
    }

    def add_add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options of `provider add`."""
        parser.add_argument("name", help="a provider of the catalog, or a new name")
        parser.add_argument("--title", default="")
        parser.add_argument("--base-url", default="", help="such as http://127.0.0.1:11434/v1")
        key = parser.add_mutually_exclusive_group()
        key.add_argument(
            "--api-key-stdin",
            action="store_true",
            help="read from input the key, a JSON object of its fields, or a Google service account's file",
        )
        key.add_argument("--api-key-env", default="", metavar="VARIABLE", help="where the key is")
        for place in PLACES:
            parser.add_argument(f"--{place}", default="", help="where our account is")
        parser.add_argument("--model", type=pair, action="append", default=[], dest="models")
        parser.add_argument("--kind", choices=["chat", "embedding"], default="chat")
        parser.add_argument("--context-tokens", type=int, default=8_192)
        parser.add_argument("--max-output-tokens", type=int, default=4_096)
        parser.add_argument("--input-price", type=price, metavar="USD", help="a million tokens")
        parser.add_argument("--output-price", type=price, metavar="USD", help="a million tokens")
        parser.add_argument("--free", action="store_true", help="the models cost nothing")

    def add(
        self,
        *,
        name: str,
        title: str,
        base_url: str,
        api_key_stdin: bool,
        api_key_env: str,
        region: str,
        project: str,
        resource: str,
        models: list[tuple[str, str]],
        kind: Kind,
        context_tokens: int,
        max_output_tokens: int,
        input_price: int | None,
        output_price: int | None,
        free: bool,
    ) -> Answer:
        """Add a provider and, if asked, models of its own."""
        check(name, base_url=base_url)
        sheet = sheet_of(input_price, output_price, kind=kind, free=free) if models else None
        try:
            provider = provider_accounts.add_provider(
                name,
                title=title,
                base_url=base_url.rstrip("/"),
                credential=sys.stdin.read().strip() if api_key_stdin else "",
                api_key_env=api_key_env,
                places={"region": region, "project": project, "resource": resource},
            )
        except provider_accounts.AddressMissing as error:
            raise CommandError(f"Give the address of {name} with --base-url.") from error
        except CredentialInvalid as error:
            raise CommandError(f"The credential of {name} cannot work. {error.reason}") from error
        if sheet is not None:
            own = [
                OwnModel(public, upstream, kind, context_tokens, max_output_tokens)
                for public, upstream in models
            ]
            provider_accounts.add_models(provider, models=own, sheet=sheet, now=timezone.now())
        return row(provider)

    def add_costs_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options of `provider costs`."""
        parser.add_argument("deed", choices=["import"])
        parser.add_argument("name", help="the provider, as in the catalog")
        parser.add_argument("file", type=Path, help="a CSV file; a repeat does nothing")

    def costs(self, *, deed: str, name: str, file: Path) -> Answer:
        """Take in a file of costs; one that was taken in before changes nothing."""
        try:
            content = file.read_bytes()
            made = provider_costs.take_in(content, provider=name, file_name=file.name, actor=None)
        except OSError as error:
            raise CommandError(f"{file} cannot be read: {error.strerror}.") from error
        except provider_costs.CannotRead as error:
            raise CommandError(str(error)) from error
        except provider_costs.TakenBefore as error:
            return {"taken_in": False, "before": str(error.earlier), "lines": 0}
        return {"taken_in": True, "form": made.form, "lines": made.lines_read}

    def list(self) -> Answer:
        """List providers, those that are on first."""
        rows = [row(provider) for provider in Provider.objects.order_by("name")]
        return sorted(rows, key=lambda found: not found["on"])


def check(name: str, *, base_url: str) -> None:
    """Raise ValidationError unless the name is a slug and the address a URL."""
    validate_slug(name)
    parts = urlsplit(base_url)
    if base_url and not (parts.scheme in ("http", "https") and parts.hostname):
        raise ValidationError("--base-url must be an address such as http://127.0.0.1:11434/v1")


def sheet_of(
    input_price: int | None, output_price: int | None, *, kind: Kind, free: bool
) -> RateSheet:
    """Return the models' rates; nothing is free unless the operator says so. Raises CommandError."""
    rates = {"input_microusd_per_mtok": input_price, "output_microusd_per_mtok": output_price}
    if kind == "embedding":
        del rates["output_microusd_per_mtok"]
    if free:
        return RateSheet(dict.fromkeys(rates, 0))
    given = {name: rate for name, rate in rates.items() if rate}
    if len(given) < len(rates):
        raise CommandError("Give --input-price and --output-price above 0, or --free.")
    return RateSheet(given)


def row(provider: Provider) -> dict[str, object]:
    """Return what scripts may know of a provider."""
    return {
        "name": provider.name,
        "title": provider.title,
        "api": str(provider.api),
        "base_url": snapshot.base_url(provider),
        "on": snapshot.is_on(provider),
        "why": provider_accounts.why(provider),
        "models": provider.routes.filter(disabled_at=None).count(),
    }

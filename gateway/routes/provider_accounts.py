"""Our accounts with providers: add one, seal its credential, say why one is on or off."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from django.db import transaction

from billing import price_versions
from billing.price_versions import RateSheet
from exerati.lib.encryption import CannotDecrypt, encrypt
from gateway import snapshot
from gateway.catalog import catalog_data
from gateway.catalog.catalog_rows import provider_row
from gateway.models import Model, Provider, ProviderAccount, Route
from gateway.providers import credentials

Kind = Literal["chat", "embedding"]

# Every OpenAI-compatible server knows `max_tokens`; its newer name is often ignored, and the bound with it.
OWN_SERVER_QUIRKS = ("max_tokens_only",)


class AddressMissing(Exception):
    """Neither the operator nor the catalog names an address for the provider."""


@dataclass(frozen=True, slots=True)
class OwnModel:
    """A model of one's own server: its public name and the server's name for it."""

    name: str
    upstream_model: str
    kind: Kind = "chat"
    context_tokens: int = 8_192
    max_output_tokens: int = 4_096


def seal(holder: Provider | ProviderAccount, *, credential: str) -> None:
    """
    Put a credential on a provider or an account of it, sealed, or take it away with ""; the caller saves.

    The text is one that `credentials.compose` has made.
    """
    if not credential:
        holder.sealed_credential = None
        holder.credential_last4 = ""
        return
    holder.sealed_credential = encrypt(credential, context=snapshot.sealed_for(holder))
    holder.credential_last4 = credentials.last4(credential)


@transaction.atomic
def add_provider(
    name: str,
    *,
    title: str = "",
    base_url: str = "",
    credential: str = "",
    api_key_env: str = "",
    places: Mapping[str, str] | None = None,
) -> Provider:
    """
    Add a provider, or change the address and credential of a known one, and switch it on. `places` say where our
    account is (region, project, resource); raises CredentialInvalid for what cannot work.

    A provider the catalog does not know is taken for an OpenAI-compatible server. Without an address the
    catalog's is used; raises AddressMissing when it has none.
    """
    known = catalog_data.load().providers.get(name)
    fresh = (
        provider_row(known)
        if known
        else Provider(name=name, title=name, quirks=list(OWN_SERVER_QUIRKS))
    )
    provider = Provider.objects.filter(name=name).first() or fresh
    provider.title = title or provider.title
    provider.base_url = base_url or provider.base_url or (known and known.base_url) or ""
    provider.disabled_at = None
    if credential or api_key_env or any((places or {}).values()):
        seal(provider, credential=credentials.compose(provider.api, credential, places=places))
    if api_key_env:
        provider.api_key_env = api_key_env
    if not provider.base_url and provider.api != Provider.Api.SANDBOX:
        raise AddressMissing(name)
    provider.save()
    return provider


@transaction.atomic
def add_models(
    provider: Provider, *, models: Sequence[OwnModel], sheet: RateSheet, now: datetime
) -> None:
    """Make models, each with a route to the provider and its price; a model that exists keeps its facts."""
    for own in models:
        is_chat = own.kind == "chat"
        model, _ = Model.objects.get_or_create(
            name=own.name,
            defaults={
                "title": own.name,
                "owned_by": provider.name,
                "kind": own.kind,
                "input_modalities": ["text"],
                "output_modalities": ["text"],
                "context_tokens": own.context_tokens,
                "max_output_tokens": own.max_output_tokens if is_chat else None,
                "features": ["streaming", "tools"] if is_chat else [],
                "sources": {"curated": "provider add"},
            },
        )
        Route.objects.get_or_create(
            model=model, provider=provider, upstream_model=own.upstream_model
        )
        price_versions.set_price(own.name, sheet=sheet, source="operator", now=now)


def why(provider: Provider) -> str:
    """Return in words why the provider is on or off, and what would switch it on."""
    variable = f"EXERATI_PROVIDER_{provider.name.upper().replace('-', '_')}_BASE_URL"
    if provider.disabled_at is not None:
        return f"switched off since {provider.disabled_at:%Y-%m-%d}; `provider add` switches it on"
    if provider.api == Provider.Api.SANDBOX:
        return "built in"
    if not snapshot.base_url(provider):
        return f"no address; set {variable} or run `provider add {provider.name} --base-url …`"
    try:
        credential = snapshot.credential(provider)
    except CannotDecrypt:
        return "its credential was sealed under another EXERATI_FIELD_KEY; run `provider add` again"
    if problem := snapshot.address_problem(provider, credential=credential):
        return f"{problem} Run `provider add {provider.name}` again"
    if provider.sealed_credential:
        return f"credential …{provider.credential_last4} is stored"
    if credential:
        return f"{provider.api_key_env} is set"
    if snapshot.is_on(provider):
        return "needs no key"
    return f"no key; set {provider.api_key_env} or run `provider add {provider.name}`"

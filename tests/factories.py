"""Rows for tests: plain functions with defaults that work."""

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

from django.utils import timezone

from accounts import services as account_services
from accounts.adapters import mark_email_verified
from accounts.models import Organization, User
from apikeys import services as key_services
from apikeys.models import ApiKey
from apikeys.services import CreatedKey, KeyRules
from billing import wallet
from billing.bodies import stored_bodies
from billing.models import (
    CreditLot,
    Notification,
    PriceVersion,
    ProviderCostVersion,
    RefusedRequest,
    StoredBody,
    UsageEvent,
)
from exerati.lib import ids, money
from gateway.models import Model, Provider, Route

_numbers = itertools.count(1)
PASSWORD = "correct horse battery staple"
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def make_user(email: str = "", *, password: str = PASSWORD, **fields: Any) -> User:
    """Store a user with a verified address."""
    user = User.objects.create_user(
        email or f"user{next(_numbers)}@example.com", password, **fields
    )
    mark_email_verified(user)
    return user


def make_organization(name: str = "", *, owner: User | None = None, **fields: Any) -> Organization:
    """Store an organization with its owner and default project, as sign-up does."""
    organization = account_services.create_organization(
        name=name or f"Organization {next(_numbers)}", owner=owner or make_user()
    )
    if fields:
        Organization.objects.filter(pk=organization.pk).update(**fields)
        organization.refresh_from_db()
    return organization


def make_api_key(
    organization: Organization | None = None, *, name: str = "", mode: str = "live", **rules: Any
) -> CreatedKey:
    """Store a key; the rules are those of KeyRules."""
    return key_services.create_key(
        organization or make_organization(),
        name=name or f"key {next(_numbers)}",
        mode=mode,
        created_by=None,
        rules=KeyRules(**rules),
    )


def make_credit(organization: Organization, *, usd: str = "10") -> CreditLot:
    """Put credit into a wallet."""
    return wallet.grant(
        organization,
        amount_nanousd=money.parse_usd(usd),
        source=CreditLot.Source.GRANT,
        idempotency_key=f"test:{next(_numbers)}",
        reason="test",
    )


def make_price(model: str = "sandbox/echo", **rates: Any) -> PriceVersion:
    """Store a price version, by default $0.10 / $0.40 a million tokens, in force since 2020."""
    values = {
        "effective_from": LONG_AGO,
        "input_microusd_per_mtok": 100_000,
        "output_microusd_per_mtok": 400_000,
        **rates,
    }
    return PriceVersion.objects.create(model=model, **values)


def make_provider_cost(provider: Provider, upstream_model: str) -> ProviderCostVersion:
    """Store what a provider charges us: $0.05 / $0.20 a million tokens, since 2020."""
    return ProviderCostVersion.objects.create(
        provider=provider.name,
        upstream_model=upstream_model,
        effective_from=LONG_AGO,
        input_microusd_per_mtok=50_000,
        output_microusd_per_mtok=200_000,
    )


def make_provider(name: str = "", **fields: Any) -> Provider:
    """Store an OpenAI-compatible provider that needs no key."""
    name = name or f"provider-{next(_numbers)}"
    values = {"title": name, "base_url": "http://127.0.0.1:9/v1", **fields}
    return Provider.objects.create(name=name, **values)


def make_model(
    name: str = "sandbox/echo", *, provider: Provider | None = None, **fields: Any
) -> Model:
    """Store a chat model with a route and a price; by default one of the sandbox."""
    values = {
        "title": name,
        "owned_by": "test",
        "kind": Model.Kind.CHAT,
        "input_modalities": ["text"],
        "output_modalities": ["text"],
        "context_tokens": 128_000,
        "max_output_tokens": 16_384,
        **fields,
    }
    model = Model.objects.create(name=name, **values)
    if provider is None:
        provider, _ = Provider.objects.get_or_create(
            name="sandbox", defaults={"title": "Sandbox", "api": Provider.Api.SANDBOX}
        )
    Route.objects.create(model=model, provider=provider, upstream_model=name)
    make_price(name)
    return model


def make_stored_body(event: UsageEvent, *, request: str = "{}", answer: str = "{}") -> StoredBody:
    """Store the body of a call, to be kept for a day."""
    called = stored_bodies.CalledBody(
        event.request_id, event.organization_id, request.encode(), answer.encode()
    )
    now = timezone.now()
    return StoredBody.objects.create(
        request_id=event.request_id,
        organization=event.organization,
        sealed=stored_bodies.sealed(called),
        stored_at=now,
        expires_at=now + timedelta(days=1),
    )


def make_usage_event(
    key: ApiKey, *, price: PriceVersion | None = None, **fields: Any
) -> UsageEvent:
    """Store a settled call of a key: 1,000 tokens in, 500 out, $0.0003 at the default price."""
    now = timezone.now()
    values = {
        "request_id": ids.new_uuid(),
        "occurred_at": now,
        "settled_at": now,
        "organization": key.organization,
        "project": key.project,
        "key": key,
        "mode": key.mode,
        "endpoint": "chat.completions",
        "model": "sandbox/echo",
        "provider": "sandbox",
        "upstream_model": "sandbox/echo",
        "outcome": UsageEvent.Outcome.FINISHED,
        "basis": UsageEvent.Basis.REPORTED,
        "finish_reason": "stop",
        "input_tokens": 1_000,
        "output_tokens": 500,
        "price_version": price or make_price(f"priced-{next(_numbers)}"),
        "upper_nanousd": 1_000_000,
        "price_nanousd": 300_000,
        "charge_nanousd": 300_000,
        "first_token_ms": 120,
        "duration_ms": 900,
        **fields,
    }
    return UsageEvent.objects.create(**values)


def make_refusal(key: ApiKey, **fields: Any) -> RefusedRequest:
    """Store a request of a key that was refused, by default as invalid."""
    values = {
        "request_id": ids.new_uuid(),
        "occurred_at": timezone.now(),
        "organization": key.organization,
        "project": key.project,
        "key": key,
        "mode": key.mode,
        "endpoint": "chat.completions",
        "model": "sandbox/echo",
        "status": 400,
        "code": "invalid_value",
        "message": "A field has a value that means nothing.",
        "advice": "Correct the field in param.",
        **fields,
    }
    return RefusedRequest.objects.create(**values)


def make_notification(key: ApiKey, **fields: Any) -> Notification:
    """Store what an organization was told, by default of a monthly budget of a key used at 80 %."""
    details = {
        "threshold": 80,
        "scope": "key",
        "name": key.name,
        "model": "",
        "period": "month",
        "cap_nanousd": 100 * money.NANOUSD_PER_USD,
        "posted_nanousd": 80 * money.NANOUSD_PER_USD,
        "held_nanousd": 0,
        "is_refusing": False,
        "ends_at": "2026-12-01T00:00:00+00:00",
    }
    values = {
        "organization": key.organization,
        "kind": Notification.Kind.BUDGET,
        "occasion": f"test:{next(_numbers)}",
        "key": key,
        "details": details,
        **fields,
    }
    return Notification.objects.create(**values)

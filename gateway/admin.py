"""Support's view of providers, models and routes."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from accounts.admin import ReadOnly
from gateway import markup_admin as markup_admin  # registers its table
from gateway.catalog import catalog_admin as catalog_admin  # registers its admins
from gateway.models import (
    AccountNotice,
    IdempotentCall,
    Model,
    Provider,
    ProviderAccount,
    Route,
)
from gateway.providers import credentials
from gateway.providers.credentials import CredentialInvalid
from gateway.routes import provider_accounts
from gateway.service_status import status_admin as status_admin  # registers its tables


class CredentialForm(forms.ModelForm):
    """A field that takes a new credential and never shows one."""

    credential = forms.CharField(
        required=False,
        strip=True,
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
        help_text=(
            "A new credential, stored sealed. Empty keeps the present one. Bedrock, Vertex and Azure take a JSON object"
            ' too, such as {"region": "…", "access_key_id": "…", "secret_access_key": "…"}.'
        ),
    )
    forget_credential = forms.BooleanField(required=False, help_text="Remove the stored one.")

    def clean(self) -> dict[str, Any]:
        """Refuse a credential that cannot work, saying why without it."""
        cleaned: dict[str, Any] = super().clean() or {}
        provider = cleaned.get("provider") or self.instance
        api = cleaned.get("api") or getattr(provider, "api", "")
        if given := cleaned.get("credential"):
            try:
                cleaned["credential"] = credentials.compose(str(api), given)
            except CredentialInvalid as error:
                self.add_error("credential", error.reason)
        return cleaned

    def save(self, commit: bool = True) -> Any:
        """Seal the new credential onto the provider or account."""
        if self.cleaned_data["credential"] or self.cleaned_data["forget_credential"]:
            provider_accounts.seal(self.instance, credential=self.cleaned_data["credential"])
        return super().save(commit=commit)


class ProviderForm(CredentialForm):
    """A provider with the account of its own."""

    class Meta:
        model = Provider
        fields = [
            "name",
            "title",
            "api",
            "base_url",
            "api_key_env",
            "quirks",
            "max_connections",
            "no_training",
            "zero_retention",
            "disabled_at",
        ]


class AccountForm(CredentialForm):
    """An account beside the provider's own."""

    class Meta:
        model = ProviderAccount
        fields = ["provider", "name", "base_url", "weight", "requests_per_minute", "disabled_at"]


class RouteInline(admin.TabularInline):
    """A model's routes."""

    model = Route
    extra = 0
    autocomplete_fields = ["provider"]


@admin.register(Provider)
class ProviderAdmin(admin.ModelAdmin):
    """Upstreams and our accounts with them."""

    form = ProviderForm
    search_fields = ["name", "title"]
    list_display = ["title", "name", "api", "base_url", "stored_credential", "why"]
    list_filter = ["api", ("disabled_at", admin.EmptyFieldListFilter)]
    readonly_fields = ["stored_credential", "why", "created_at"]
    ordering = ["name"]

    def get_readonly_fields(self, request: HttpRequest, obj: Provider | None = None) -> list[str]:
        """A credential is sealed for the provider's name, so the name stays."""
        return [*self.readonly_fields, *(["name"] if obj else [])]

    @admin.display(description="stored credential")
    def stored_credential(self, provider: Provider) -> str:
        """Return the last four characters of the credential."""
        return f"…{provider.credential_last4}" if provider.credential_last4 else "none"

    @admin.display(description="on or off, and why")
    def why(self, provider: Provider) -> str:
        """Return why the provider is on or off."""
        return provider_accounts.why(provider)


@admin.register(Model)
class ModelAdmin(admin.ModelAdmin):
    """What we sell."""

    search_fields = ["name", "title", "owned_by"]
    list_display = ["name", "title", "owned_by", "kind", "shutdown_on", "hidden_at"]
    list_filter = ["kind", "owned_by", ("hidden_at", admin.EmptyFieldListFilter)]
    readonly_fields = ["created_at"]
    inlines = [RouteInline]
    ordering = ["name"]


@admin.register(Route)
class RouteAdmin(admin.ModelAdmin):
    """Who serves what, in which order."""

    search_fields = ["model__name", "provider__name", "upstream_model"]
    list_display = [
        "model",
        "provider",
        "upstream_model",
        "priority",
        "weight",
        "region",
        "disabled_at",
    ]
    list_filter = ["provider", ("disabled_at", admin.EmptyFieldListFilter)]
    list_select_related = ["model", "provider"]
    autocomplete_fields = ["model", "provider"]
    ordering = ["model__name", "priority"]


@admin.register(ProviderAccount)
class ProviderAccountAdmin(admin.ModelAdmin):
    """More accounts with a provider; calls are spread over them by weight."""

    form = AccountForm
    search_fields = ["provider__name", "name"]
    list_display = [
        "provider",
        "name",
        "stored_credential",
        "weight",
        "requests_per_minute",
        "disabled_at",
    ]
    list_filter = ["provider"]
    list_select_related = ["provider"]
    autocomplete_fields = ["provider"]
    ordering = ["provider__name", "name"]

    def get_readonly_fields(
        self, request: HttpRequest, obj: ProviderAccount | None = None
    ) -> list[str]:
        """A credential is sealed for provider and name, so both stay."""
        return ["provider", "name"] if obj else []

    @admin.display(description="stored credential")
    def stored_credential(self, account: ProviderAccount) -> str:
        """Return the last four characters of the credential."""
        return f"…{account.credential_last4}" if account.credential_last4 else "none"


@admin.register(IdempotentCall)
class IdempotentCallAdmin(ReadOnly, admin.ModelAdmin):
    """Calls made under an `Idempotency-Key`; their answers are kept for a day and not shown here."""

    search_fields = ["=request_id", "key__public_id", "key__key_prefix"]
    list_display = ["created_at", "request_id", "key", "status", "expires_at"]
    list_select_related = ["key"]
    fields = ["request_id", "key", "status", "created_at", "expires_at"]
    ordering = ["-created_at"]


@admin.register(AccountNotice)
class AccountNoticeAdmin(admin.ModelAdmin):
    """Accounts of ours that providers refuse; written by the gateway, resolved by staff."""

    search_fields = ["provider__name", "account", "message"]
    list_display = [
        *("provider", "account", "reason", "count", "first_at", "last_at", "told_at", "resolved_at")
    ]
    list_filter = [("resolved_at", admin.EmptyFieldListFilter), "reason", "provider"]
    list_select_related = ["provider"]
    ordering = ["-last_at"]
    actions = ["resolve"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Only the gateway makes them."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: AccountNotice | None = None) -> bool:
        """They are resolved by the action, not edited."""
        return False

    @admin.action(description="Resolve: the account works again", permissions=["view"])
    def resolve(self, request: HttpRequest, notices: QuerySet[AccountNotice]) -> None:
        """Close the notices; a new refusal opens a new one."""
        count = notices.filter(resolved_at=None).update(resolved_at=timezone.now())
        self.message_user(request, f"{count} resolved.")

"""Support's view of providers, models and routes."""

from django import forms
from django.contrib import admin
from django.http import HttpRequest

from gateway import provider_accounts
from gateway.models import Model, Provider, Route


class ProviderForm(forms.ModelForm):
    """A provider, with a field that takes a new credential and never shows one."""

    credential = forms.CharField(
        required=False,
        strip=True,
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
        help_text="A new credential, stored sealed. Empty keeps the present one.",
    )
    forget_credential = forms.BooleanField(required=False, help_text="Remove the stored one.")

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
            "disabled_at",
        ]

    def save(self, commit: bool = True) -> Provider:
        """Seal the new credential onto the provider."""
        if self.cleaned_data["credential"] or self.cleaned_data["forget_credential"]:
            provider_accounts.seal(self.instance, credential=self.cleaned_data["credential"])
        provider: Provider = super().save(commit=commit)
        return provider


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
    list_display = ["model", "provider", "upstream_model", "priority", "disabled_at"]
    list_filter = ["provider", ("disabled_at", admin.EmptyFieldListFilter)]
    list_select_related = ["model", "provider"]
    autocomplete_fields = ["model", "provider"]
    ordering = ["model__name", "priority"]

"""Support's view of the comparisons: runs and differences, read-only but for saying why a difference may stay."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from accounts.admin import ReadOnly
from accounts.models import User
from billing.comparisons import provider_costs, reconciliation
from billing.models import ProviderCostImport, ProviderCostLine, ReconItem, ReconRun
from exerati.drawing import formats


class OpenFilter(admin.SimpleListFilter):
    """What is still to be looked at."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the choices."""
        return [("open", "Open"), ("acknowledged", "Acknowledged"), ("gone", "Gone")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[ReconItem]) -> QuerySet[ReconItem]:
        """Return those of one state."""
        if self.value() == "open":
            return queryset.filter(gone_at=None, acknowledged_at=None)
        if self.value() == "acknowledged":
            return queryset.filter(gone_at=None).exclude(acknowledged_at=None)
        return queryset.exclude(gone_at=None) if self.value() == "gone" else queryset


class AcknowledgeForm(forms.ModelForm):
    """Why a difference may stay."""

    class Meta:
        model = ReconItem
        fields = ["reason"]

    def clean_reason(self) -> str:
        """Refuse an empty reason."""
        reason = str(self.cleaned_data["reason"]).strip()
        if not reason:
            raise forms.ValidationError("Say why the difference may stay.")
        return reason


@admin.register(ReconRun)
class ReconRunAdmin(ReadOnly, admin.ModelAdmin):
    """Every comparison, with what it looked at and the sums of both sides."""

    search_fields = ["subject", "error"]
    list_display = ["started_at", "subject", "since", "until", "finished_at", "error"]
    list_filter = ["subject"]
    ordering = ["-started_at"]


@admin.register(ReconItem)
class ReconItemAdmin(admin.ModelAdmin):
    """Every difference; the only thing that can be changed is that it gets acknowledged, with a reason, once."""

    form = AcknowledgeForm
    search_fields = ["=object_id", "organization__public_id", "organization__name"]
    list_display = [
        "found_at",
        "kind",
        "object_id",
        "organization",
        "difference",
        "acknowledged_by",
        "gone_at",
    ]
    list_filter = [OpenFilter, "kind"]
    list_select_related = ["organization", "acknowledged_by"]
    ordering = ["-found_at"]
    readonly_fields = [
        "kind",
        "object_id",
        "organization",
        "theirs",
        "ours",
        "difference",
        "run",
        "last_run",
        "found_at",
        "gone_at",
        "acknowledged_at",
        "acknowledged_by",
    ]
    fields = [*readonly_fields, "reason"]

    @admin.display(description="Theirs less ours")
    def difference(self, item: ReconItem) -> str:
        """Return the amount in dollars."""
        return formats.exact_text(item.difference_nanousd)

    def get_readonly_fields(self, request: HttpRequest, obj: ReconItem | None = None) -> list[str]:
        """A reason that was given stays."""
        given = obj is not None and obj.acknowledged_at is not None
        return [*self.readonly_fields, "reason"] if given else list(self.readonly_fields)

    def save_model(self, request: HttpRequest, obj: ReconItem, form: Any, change: bool) -> None:
        """Acknowledge through the service, which writes the audit event."""
        if isinstance(request.user, User):
            reconciliation.acknowledge(
                obj, actor=request.user, reason=form.cleaned_data.get("reason", "")
            )
            messages.info(request, "Acknowledged. Nothing else was changed.")

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Differences are found, not made."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: ReconItem | None = None) -> bool:
        """A difference stays on record."""
        return False


class CostFileForm(forms.ModelForm):
    """A file of costs, and whose it is."""

    provider = forms.SlugField(help_text="The provider's name in the catalog, such as openai.")
    file = forms.FileField(
        help_text="CSV of OpenAI's or Anthropic's costs, or day, model, cost_usd."
    )

    class Meta:
        model = ProviderCostImport
        fields: list[str] = []

    def clean(self) -> dict[str, Any]:
        """Take the file in, so that what is wrong with it stands beside it."""
        cleaned = super().clean() or self.cleaned_data
        if not self.errors:
            try:
                cleaned["made"] = provider_costs.take_in(
                    cleaned["file"].read(provider_costs.MAX_BYTES + 1),
                    provider=cleaned["provider"],
                    file_name=cleaned["file"].name,
                    actor=getattr(self, "actor", None),
                )
            except provider_costs.CannotRead as error:
                self.add_error("file", str(error))
            except provider_costs.TakenBefore as error:
                self.add_error("file", f"This file was taken in before: {error.earlier}.")
        return cleaned


@admin.register(ProviderCostImport)
class ProviderCostImportAdmin(admin.ModelAdmin):
    """Files of what providers charge us: taken in here, then read-only."""

    form = CostFileForm
    search_fields = ["file_name", "=sha256", "actor__email"]
    list_display = ["imported_at", "file_name", "form", "lines_read", "actor"]
    list_select_related = ["actor"]
    ordering = ["-imported_at"]

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **options: Any
    ) -> Any:
        """Tell the form who takes the file in."""
        form: Any = super().get_form(request, obj, change, **options)
        form.actor = request.user if isinstance(request.user, User) else None
        return form

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """The form has stored it."""
        obj.pk = form.cleaned_data["made"].pk

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """A file that was taken in stays as it is."""
        return obj is None and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """A file stays on record."""
        return False


@admin.register(ProviderCostLine)
class ProviderCostLineAdmin(ReadOnly, admin.ModelAdmin):
    """What a provider charges for a model and day."""

    search_fields = ["=provider", "=model"]
    list_display = ["day", "provider", "model", "cost_nanousd", "source"]
    list_select_related = ["source"]
    ordering = ["-day", "provider", "model"]

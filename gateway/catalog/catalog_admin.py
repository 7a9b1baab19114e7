"""Where staff decide on changes of the catalog: each, or all that wait of a run, with a reason that stays."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from accounts.admin import ReadOnly
from accounts.models import User
from gateway.catalog import catalog_changes, catalog_words
from gateway.catalog.catalog_apply import ChangeStale
from gateway.catalog.catalog_changes import ChangeDecided, Decision
from gateway.models import CatalogChange, CatalogRun

SHOWN_AT_MOST = 200
_OF_A_MODEL = ("title", "kind", "context_tokens", "routes")
State = CatalogChange.State


class DecisionForm(forms.Form):
    """Why, and for a price from when."""

    reason = forms.CharField(
        max_length=300, strip=True, help_text="What you compared it with. Stays on record."
    )
    effective_from = forms.DateTimeField(
        required=False,
        label="Prices hold from",
        help_text="UTC, such as 2027-01-31 00:00. Empty: from now, or from the day that the files name.",
    )


class Deciding(ReadOnly, admin.ModelAdmin):
    """Two actions, each with a page that shows what it will do and asks for the reason."""

    actions = ("approve", "reject")

    def has_decide_permission(self, request: HttpRequest) -> bool:
        """Whoever may change catalog changes decides on them; the rows themselves are edited by nobody."""
        return request.user.has_perm("gateway.change_catalogchange")

    def changes_of(self, chosen: QuerySet[Any]) -> QuerySet[CatalogChange]:
        """Return the changes that are meant by the rows chosen."""
        raise NotImplementedError

    @admin.action(description="Approve what waits…", permissions=["decide"])
    def approve(self, request: HttpRequest, chosen: QuerySet[Any]) -> HttpResponse | None:
        """Apply what is chosen and waits, all of it or nothing."""
        return self._decided(request, chosen, "approve")

    @admin.action(description="Reject what waits…", permissions=["decide"])
    def reject(self, request: HttpRequest, chosen: QuerySet[Any]) -> HttpResponse | None:
        """Leave what is sold as it is."""
        return self._decided(request, chosen, "reject")

    def _decided(
        self, request: HttpRequest, chosen: QuerySet[Any], word: str
    ) -> HttpResponse | None:
        changes = self.changes_of(chosen).filter(state=State.PROPOSED).order_by("pk")
        if not changes.exists():
            messages.warning(request, "None of these waits for a decision.")
            return None
        form = DecisionForm(request.POST if "decide" in request.POST else None)
        if not form.is_valid():
            return self._page(request, changes, word=word, form=form)
        _carry_out(self, request, changes, word=word, form=form)
        return None

    def _page(
        self, request: HttpRequest, changes: QuerySet[CatalogChange], *, word: str, form: Any
    ) -> HttpResponse:
        shown = [(change, catalog_words.lines(change)) for change in changes[:SHOWN_AT_MOST]]
        count = changes.count()
        context = {
            **admin.site.each_context(request),
            "title": f"{word.capitalize()} {count} change{'' if count == 1 else 's'} of the catalog",
            "opts": CatalogChange._meta,
            "word": word,
            "shown": shown,
            "more": count - len(shown),
            "form": form,
            "asks_day": word == "approve"
            and changes.filter(kind__in=catalog_changes.DATED).exists(),
            "selected": request.POST.getlist(ACTION_CHECKBOX_NAME),
            "select_across": request.POST.get("select_across", "0"),
            "checkbox": ACTION_CHECKBOX_NAME,
        }
        return TemplateResponse(request, "admin/gateway/decide.html", context)


def _carry_out(
    model_admin: Any,
    request: HttpRequest,
    changes: QuerySet[CatalogChange],
    *,
    word: str,
    form: Any,
) -> None:
    """Decide, tell what was done or why not, and leave a line in the admin's own log for each."""
    actor = request.user if isinstance(request.user, User) else None
    decision = Decision(
        reason=form.cleaned_data["reason"],
        actor=actor,
        now=timezone.now(),
        effective_from=form.cleaned_data["effective_from"],
    )
    decided = list(changes)
    do = catalog_changes.approve_all if word == "approve" else catalog_changes.reject_all
    try:
        do(CatalogChange.objects.filter(pk__in=[one.pk for one in decided]), decision)
    except (ChangeStale, ChangeDecided) as error:
        messages.error(request, f"Nothing was done: {error}. Run `catalog propose` and look again.")
        return
    for change in decided:
        model_admin.log_change(request, change, f"{word}: {decision.reason}")
    past = {"approve": "approved", "reject": "rejected"}[word]
    messages.success(request, f"{len(decided)} {past}.")


@admin.register(CatalogChange)
class CatalogChangeAdmin(Deciding):
    """What catalog files say otherwise than what is sold."""

    search_fields = ["model", "field", "source", "reason"]
    list_display = ["model", "field", "what", "state", "source", "as_of", "decided_by", "reason"]
    list_filter = ["state", "kind", "run"]
    list_select_related = ["run", "decided_by"]
    fields = [
        "model",
        "field",
        "what",
        "effective_from",
        "source",
        "as_of",
        "run",
        "state",
        "decided_by",
        "decided_at",
        "reason",
    ]
    ordering = ["-pk"]

    def changes_of(self, chosen: QuerySet[Any]) -> QuerySet[CatalogChange]:
        """Return the rows themselves."""
        return chosen

    @admin.display(description="what changes")
    def what(self, change: CatalogChange) -> SafeString:
        """Return old and new value, a line for each."""
        told = catalog_words.lines(change)
        if change.kind == CatalogChange.Kind.MODEL:  # its own page shows the rest
            told = [line for line in told if line.name in _OF_A_MODEL or "price" in line.name]
        rows = ((line.name, line.old, line.new) for line in told)
        return format_html_join(SafeString("<br>"), "{}: {} → {}", rows)

    @admin.display(description="as of", ordering="run__as_of")
    def as_of(self, change: CatalogChange) -> str:
        """Return the day that the files speak of."""
        return str(change.run.as_of or change.run.created_at.date())


@admin.register(CatalogRun)
class CatalogRunAdmin(Deciding):
    """Comparisons of catalog files with what is sold; those that wait can be decided on together."""

    search_fields = ["origin", "=digest"]
    list_display = ["created_at", "origin", "as_of", "waiting", "decided"]
    ordering = ["-created_at"]

    def changes_of(self, chosen: QuerySet[Any]) -> QuerySet[CatalogChange]:
        """Return all changes of the runs."""
        return CatalogChange.objects.filter(run__in=chosen)

    def get_queryset(self, request: HttpRequest) -> QuerySet[CatalogRun]:
        """Count the changes of each run."""
        waits = Q(changes__state=State.PROPOSED)
        runs: QuerySet[CatalogRun] = super().get_queryset(request)
        return runs.annotate(
            open=Count("changes", filter=waits), done=Count("changes", filter=~waits)
        )

    @admin.display(description="waiting", ordering="open")
    def waiting(self, run: Any) -> SafeString:
        """Return how many changes wait, with the way to them."""
        url = reverse("admin:gateway_catalogchange_changelist")
        return format_html(
            '<a href="{}?run__id__exact={}&amp;state__exact=proposed">{}</a>', url, run.pk, run.open
        )

    @admin.display(description="decided", ordering="done")
    def decided(self, run: Any) -> int:
        """Return how many changes are decided."""
        count: int = run.done
        return count

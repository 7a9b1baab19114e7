"""Sample data of the style guide: every component once, with its edges (none, many, long)."""

from datetime import timedelta
from typing import Any

from django import forms
from django.utils import timezone
from django.utils.safestring import mark_safe

from exerati.drawing import formats
from exerati.drawing.charts import Bucket, Series, lines, stacked_bars
from exerati.drawing.small_charts import Phase, sparkline, uptime_strip, waterfall

DAYS = [Bucket(f"{day} Nov", href=f"?day={day}") for day in range(1, 31)]
MODELS = (
    "gpt-4o-mini",
    "claude-sonnet",
    "gemini-flash",
    "llama-70b",
    "mistral-large",
    "qwen-72b",
    "phi-4",
)
ICONS = (
    "gauge key-round chart-column scroll-text layers book-open users settings log-out search "
    "list-filter copy check plus minus x pencil trash-2 ban refresh-cw download eye eye-off "
    "circle-check triangle-alert circle-x circle-alert info clock timer calendar wallet "
    "credit-card receipt-text shield-check lock fingerprint-pattern terminal code braces play "
    "square zap activity server globe image audio-lines link tag sliders-horizontal git-branch"
)

_STRIP = [
    (f"{day} Nov", None if day < 4 else {17: 98.2, 18: 91.0}.get(day, 100.0))
    for day in range(1, 31)
]


class SampleForm(forms.Form):
    """A form with each kind of field."""

    name = forms.CharField(help_text="People see this beside each request.")
    budget = forms.DecimalField(label="Monthly cap, USD", required=False)
    role = forms.ChoiceField(choices=[("admin", "Admin"), ("developer", "Developer")])
    note = forms.CharField(widget=forms.Textarea, required=False)
    strict = forms.BooleanField(label="Refuse unknown parameters", required=False)


def context() -> dict[str, Any]:
    """Return what `styleguide.html` shows."""
    now = timezone.now()
    return {
        "now": now,
        "earlier": now - timedelta(minutes=3),
        "tones": ("neutral", "ok", "warn", "danger", "accent"),
        "icons": ICONS.split(),
        "tabs": [("Overview", "#a", True), ("Requests", "#b", False), ("Errors", "#c", False)],
        "chips": [
            ("Last 24 hours", "#d", True),
            ("Live keys", "#e", False),
            ("Errors", "#f", False),
        ],
        "form": SampleForm({"role": "admin"}),
        "models": MODELS,
        "choices": [("", "Any status"), ("ok", "Answered"), ("error", "Failed")],
        **_charts(),
    }


def _charts() -> dict[str, Any]:
    spend = [
        Series(name, [(day * 7 + row * 13) % 11 * 90_000_000 // (row + 1) for day in range(30)])
        for row, name in enumerate(MODELS)
    ]
    p50 = [None if day in (11, 12) else 300 + day * 17 % 90 for day in range(30)]
    p95 = [None if day in (11, 12) else 900 + day * 131 % 420 for day in range(30)]
    phases = (
        Phase("Reserve", 0, 2),
        Phase("Route 1", 2, 200, "failed", note="503"),
        Phase("Route 2", 202, 380, "wait"),
        Phase("Stream", 582, 1200, "stream"),
    )
    return {
        "bars": stacked_bars(
            "Spend by model", buckets=DAYS, series=spend, format_value=formats.cost_text
        ),
        "empty_bars": stacked_bars("Requests", buckets=DAYS, series=[Series("All", [0] * 30)]),
        "latency": lines(
            "Time to first token", buckets=DAYS, series=[Series("p50", p50), Series("p95", p95)]
        ),
        "strip": mark_safe(uptime_strip("API", days=_STRIP)),  # noqa: S308  escaped there
        "spark": sparkline("Requests", buckets=DAYS, values=[day * 37 % 19 for day in range(30)]),
        "waterfall": waterfall("Sample request", phases=phases),
    }

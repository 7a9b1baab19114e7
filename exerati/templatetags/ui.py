"""Template tags of the design system: one tag per component, every argument escaped.

A builtin of every template (settings), so no `{% load %}` is needed. `docs/design-system.md`
lists them with their arguments; `/styleguide/` shows them.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from django import template
from django.forms import BaseForm
from django.templatetags.static import static
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from exerati.drawing import code_blocks, formats, small_charts
from exerati.drawing.charts import Chart
from exerati.lib import money as amounts

register = template.Library()
register.tag("code", code_blocks.parse_code)
register.tag("snippets", code_blocks.parse_snippets)

TONE_ICONS = {
    "neutral": "circle-dashed",
    "ok": "circle-check",
    "warn": "triangle-alert",
    "danger": "circle-x",
    "accent": "activity",
}
MESSAGE_TONES = {"success": "ok", "warning": "warn", "error": "danger"}
UNKNOWN = mark_safe(
    '<span class="muted" title="Not known">&ndash;<span class="sr-only"> not known</span></span>'
)

Link = tuple[str, str, bool]  # label, address, whether it is the present one


@register.simple_tag
def icon(name: str, *, label: str = "", size: str = "") -> SafeString:
    """Return an icon of the sprite; without a label it is hidden from screen readers."""
    css_class = f"icon icon-{name}" + (f" icon-{size}" if size else "")
    named = (
        format_html('role="img" aria-label="{}"', label)
        if label
        else mark_safe('aria-hidden="true"')
    )
    return format_html(
        '<svg class="{}" {}><use href="{}#{}"></use></svg>',
        css_class,
        named,
        static("img/icons.svg"),
        name,
    )


@register.simple_tag
def button(
    label: str,
    *,
    href: str = "",
    type: str = "button",
    variant: str = "",
    size: str = "",
    icon: str = "",
    **attributes: object,
) -> SafeString:
    """Return a button, or a link that looks like one; `hx_post=` becomes `hx-post=`."""
    css_class = _button_class(variant, size)
    inner = format_html("{}{}", _icon(icon), label)
    return _button(css_class, inner, href=href, type=type, attributes=attributes)


@register.simple_tag
def icon_button(
    label: str,
    *,
    icon: str,
    href: str = "",
    type: str = "button",
    variant: str = "quiet",
    size: str = "",
    **attributes: object,
) -> SafeString:
    """Return a square button whose label is only spoken and shown on hover."""
    css_class = f"{_button_class(variant, size)} button-icon"
    spoken = {"aria_label": label, "title": label, **attributes}
    return _button(css_class, _icon(icon), href=href, type=type, attributes=spoken)


def _button_class(variant: str, size: str) -> str:
    return " ".join(
        ["button"]
        + ([f"button-{variant}"] if variant else [])
        + ([f"button-{size}"] if size else [])
    )


def _button(
    css_class: str, inner: SafeString, *, href: str, type: str, attributes: Mapping[str, object]
) -> SafeString:
    extra = _attributes(attributes)
    if href:
        return format_html('<a class="{}" href="{}"{}>{}</a>', css_class, href, extra, inner)
    return format_html('<button class="{}" type="{}"{}>{}</button>', css_class, type, extra, inner)


def _attributes(attributes: Mapping[str, object]) -> SafeString:
    """Return ` key="value"` pairs; None, False and "" are left out, True is a bare word."""
    pairs = ((key.replace("_", "-"), value) for key, value in attributes.items())
    return format_html_join(
        "",
        " {}{}",
        (
            (key, "" if value is True else format_html('="{}"', value))
            for key, value in pairs
            if value is not None and value is not False and value != ""
        ),
    )


def _icon(name: str) -> SafeString:
    return icon(name) if name else mark_safe("")


@register.simple_tag
def copy(value: str, *, label: str = "") -> SafeString:
    """Return a small copy button; the label names what is copied, as in "Copy request id"."""
    return format_html(
        '<button type="button" class="copy js-only" data-copy="{}" aria-label="Copy {}"'
        ' title="Copy">{}{}</button>',
        value,
        label or value,
        icon("copy"),
        icon("check"),
    )


@register.simple_tag
def copyable(value: str, *, label: str = "") -> SafeString:
    """Return an id in monospace with its copy button."""
    return format_html(
        '<span class="copyable"><code class="plain">{}</code>{}</span>',
        value,
        copy(value, label=label),
    )


@register.simple_tag
def secret(value: str, *, label: str) -> SafeString:
    """Return a secret that is shown this once, with its copy button."""
    return format_html(
        '<div class="secret" role="group" aria-label="{}"><code>{}</code>{}</div>',
        label,
        value,
        copy(value, label=label),
    )


@register.simple_tag
def badge(text: str, *, tone: str = "neutral", icon: str = "") -> SafeString:
    """Return a state as icon and word; tones: neutral, ok, warn, danger, accent."""
    return format_html(
        '<span class="badge badge-{}">{}{}</span>', tone, _icon(icon or TONE_ICONS[tone]), text
    )


@register.simple_tag
def http_status(status: int) -> SafeString:
    """Return a badge of an HTTP status."""
    tone = "ok" if status < 400 else "warn" if status < 500 else "danger"
    return badge(str(status), tone=tone)


@register.simple_tag
def money(nanousd: int | None) -> SafeString:
    """Return a sum in nano-USD with two decimals; the whole value is in the tooltip."""
    return UNKNOWN if nanousd is None else _amount(nanousd, formats.sum_text(nanousd))


@register.simple_tag
def cost(nanousd: int | None) -> SafeString:
    """Return what one request cost, up to six significant digits; None is not known."""
    return UNKNOWN if nanousd is None else _amount(nanousd, formats.cost_text(nanousd))


def _amount(nanousd: int, text: str) -> SafeString:
    return format_html(
        '<data class="num" value="{}" title="{}">{}</data>',
        amounts.usd_text(nanousd),
        formats.exact_text(nanousd),
        text,
    )


@register.simple_tag
def price(microusd_per_mtok: int | None) -> SafeString:
    """Return a price per million tokens, without saying so: the column head does."""
    if microusd_per_mtok is None:
        return UNKNOWN
    return format_html('<span class="num">{}</span>', formats.price_text(microusd_per_mtok))


@register.simple_tag
def number(value: int | None, *, unit: str = "") -> SafeString:
    """Return an exact count; the unit is given in the plural."""
    if value is None:
        return UNKNOWN
    return format_html('<span class="num">{}</span>', formats.count_text(value, unit))


@register.simple_tag
def tokens(value: int | None) -> SafeString:
    """Return `1,204 tokens`."""
    return number(value, unit="tokens")


@register.simple_tag
def duration(milliseconds: int | None) -> SafeString:
    """Return `412 ms` or `1.24 s`."""
    if milliseconds is None:
        return UNKNOWN
    return format_html('<span class="num">{}</span>', formats.milliseconds_text(milliseconds))


@register.simple_tag
def ago(at: datetime | None, *, never: str = "never") -> SafeString:
    """Return how long ago a moment is, the exact time in its tooltip."""
    if at is None:
        return format_html('<span class="muted">{}</span>', never)
    return _time(at, formats.ago_text(at, now=timezone.now()))


@register.simple_tag
def moment(at: datetime | None, *, never: str = "never") -> SafeString:
    """Return date and time in the active time zone, the zone named."""
    if at is None:
        return format_html('<span class="muted">{}</span>', never)
    return _time(at, formats.moment_text(timezone.localtime(at)))


def _time(at: datetime, text: str) -> SafeString:
    exact = formats.moment_text(timezone.localtime(at))
    return format_html(
        '<time class="nowrap" datetime="{}" title="{}">{}</time>',
        formats.machine_text(at),
        exact,
        text,
    )


@register.simple_block_tag
def page_header(
    content: str, title: str, lead: str = "", *, back: str = "", back_url: str = ""
) -> SafeString:
    """Return the page's only h1 with its actions (the body) and a link one level up."""
    crumb = (
        format_html('<a class="crumb" href="{}">{}{}</a>', back_url, icon("arrow-left"), back)
        if back_url
        else ""
    )
    return format_html(
        '<header class="page-head"><div>{}<h1>{}</h1>{}</div>'
        '<div class="actions">{}</div></header>',
        crumb,
        title,
        format_html("<p>{}</p>", lead) if lead else "",
        content,
    )


@register.simple_block_tag
def panel(
    content: str, title: str = "", *, variant: str = "", more: str = "", more_url: str = ""
) -> SafeString:
    """Return a titled section; variants: flush (a table inside), danger."""
    link = format_html('<a class="small" href="{}">{}</a>', more_url, more) if more_url else ""
    head = format_html('<div class="panel-head"><h2>{}</h2>{}</div>', title, link) if title else ""
    return format_html(
        '<section class="panel{}">{}<div class="panel-body">{}</div></section>',
        f" panel-{variant}" if variant else "",
        head,
        content,
    )


@register.simple_block_tag
def stat(content: str, label: str, *, href: str = "", note: str = "") -> SafeString:
    """Return one reading of a `.stats` strip; with an address it leads to the rows behind it."""
    inner = format_html(
        '<span class="stat-label">{}{}</span><span class="stat-value">{}</span>{}',
        label,
        icon("arrow-up-right") if href else "",
        content,
        format_html('<span class="stat-note">{}</span>', note) if note else "",
    )
    if href:
        return format_html('<a class="stat" href="{}">{}</a>', href, inner)
    return format_html('<div class="stat">{}</div>', inner)


@register.simple_block_tag
def callout(content: str, tone: str = "neutral", title: str = "") -> SafeString:
    """Return a note that interrupts; tones as for badges."""
    name = "info" if tone in ("neutral", "accent") else TONE_ICONS[tone]
    head = format_html('<p class="callout-title">{}</p>', title) if title else ""
    return format_html(
        '<div class="callout callout-{}">{}<div>{}{}</div></div>', tone, icon(name), head, content
    )


@register.simple_block_tag
def empty_state(content: str, title: str, *, icon: str) -> SafeString:
    """Return what stands where there is nothing yet: a sentence, then the body that fills it."""
    return format_html(
        '<div class="empty">{}<p class="empty-title">{}</p><div class="empty-body">{}</div></div>',
        _icon(icon),
        title,
        content,
    )


@register.simple_tag
def tabs(items: Iterable[Link], *, label: str) -> SafeString:
    """Return the views of a page as links."""
    return _links("tabs", items, label=label, item='<li><a href="{}"{}>{}</a></li>')


@register.simple_tag
def chips(items: Iterable[Link], *, label: str) -> SafeString:
    """Return filters as links; the label is spoken."""
    return _links("chips", items, label=label, item='<li><a class="chip" href="{}"{}>{}</a></li>')


def _links(css_class: str, items: Iterable[Link], *, label: str, item: str) -> SafeString:
    rows = format_html_join(
        "",
        item,
        ((href, mark_safe(' aria-current="true"') if on else "", text) for text, href, on in items),
    )
    return format_html('<nav aria-label="{}"><ul class="{}">{}</ul></nav>', label, css_class, rows)


@register.simple_tag(takes_context=True)
def rail_link(
    context: Mapping[str, Any], label: str, *, icon: str, url: str, key: str, count: str = ""
) -> SafeString:
    """Return an item of the rail, with how many are unread; one without an address is left out."""
    if not url:
        return mark_safe("")
    current = mark_safe(' aria-current="page"') if context.get("nav_active") == key else ""
    return format_html(
        '<li><a class="rail-link" href="{}" data-nav="{}"{}>{}{}{}</a></li>',
        url,
        key,
        current,
        _icon(icon),
        label,
        format_html('<span class="rail-count">{}<span class="sr-only"> unread</span></span>', count)
        if count
        else "",
    )


@register.inclusion_tag("components/form_fields.html")
def form_fields(form: BaseForm) -> dict[str, BaseForm]:
    """Return the error summary and every field of a form, without the form element."""
    return {"form": form}


@register.inclusion_tag("components/pager.html")
def pager(
    newer_url: str = "",
    older_url: str = "",
    note: str = "",
    newer: str = "Newer",
    older: str = "Older",
    pages: Iterable[Link] = (),
) -> dict[str, object]:
    """Return the foot of a paged table; an empty address disables its side, and is no link among `pages`."""
    return {
        "newer_url": newer_url,
        "older_url": older_url,
        "note": note,
        "newer": newer,
        "older": older,
        "pages": pages,
    }


@register.simple_tag
def chart(figure: Chart) -> SafeString:
    """Return a chart, which is already escaped."""
    return mark_safe(figure.html)  # noqa: S308  charts escape all they are given


@register.simple_tag
def meter(used: int, limit: int, *, label: str) -> SafeString:
    """Return a thin bar of used / limit; the label says both numbers."""
    return mark_safe(small_charts.meter(used, limit=limit, label=label))  # noqa: S308  escaped there


@register.filter
def message_tone(level_tag: str) -> str:
    """Return the tone of one of Django's messages."""
    return MESSAGE_TONES.get(level_tag, "neutral")

"""Charts of one line or one row: sparkline, meter, room in a budget, and the waterfall of a request; pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal

from exerati.drawing import formats
from exerati.drawing.charts import (
    WIDTH,
    Bucket,
    Chart,
    Format,
    Series,
    data_table,
    dot,
    path,
    share,
)
from exerati.drawing.markup import element, rect, stretched_svg, table

SPARK_WIDTH, SPARK_HEIGHT = 100, 24


@dataclass(frozen=True, slots=True)
class Phase:
    """One bar of a waterfall; `kind`: our own time, waiting upstream, streaming, or failed."""

    label: str
    start_ms: int
    duration_ms: int
    kind: Literal["own", "wait", "stream", "failed"] = "own"
    note: str = ""


def sparkline(
    title: str,
    *,
    buckets: Sequence[Bucket],
    values: Sequence[int],
    format_value: Format = formats.count_text,
) -> Chart:
    """Return a small line whose label says lowest, highest and last; `html` is only the line."""
    highest = max(values, default=0) or 1
    label = f"{title}: no data"
    inner = ""
    if values:
        lowest, top, last = (
            format_value(value) for value in (min(values), max(values), values[-1])
        )
        label = f"{title}: lowest {lowest}, highest {top}, last {last}"
        room = SPARK_HEIGHT - 4
        points = [
            (
                share(i, len(values), SPARK_WIDTH),
                SPARK_HEIGHT - 2 - round(value * room / highest, 2),
            )
            for i, value in enumerate(values)
        ]
        inner = element("path", {"class": "chart-line", "d": path(points)}) + dot(points[-1], "")
    svg = stretched_svg(
        "spark",
        width=SPARK_WIDTH,
        height=SPARK_HEIGHT,
        inner=inner,
        attributes={"role": "img", "aria-label": label},
    )
    rows = data_table(
        title,
        buckets=buckets,
        series=[Series(title, values)],
        format_value=format_value,
        axis="Time",
    )
    return Chart(svg=svg, table=rows, html=svg)


def waterfall(title: str, *, phases: Sequence[Phase]) -> Chart:
    """Return the phases of one request as a table whose bars share one time axis."""
    total = max((phase.start_ms + phase.duration_ms for phase in phases), default=0) or 1
    head = "".join(
        element("th", {"scope": "col", "class": name}, text)
        for text, name in (
            ("Phase", ""),
            ('<span class="sr-only">Drawn</span>', "wf-bar"),
            ("Start", "num wf-start"),
            ("Took", "num"),
        )
    )
    body = "".join(_phase_row(phase, total) for phase in phases)
    html = table(title, head=head, body=body, css_class="waterfall")
    return Chart(svg="", table=html, html=html)


def meter(used: int, *, limit: int, label: str) -> str:
    """Return a thin bar of used / limit that warns from 80 % and is full and red from 100 %."""
    filled = min(WIDTH, max(0, used) * WIDTH // limit) if limit > 0 else WIDTH
    tone = (
        " meter-danger" if filled >= WIDTH else " meter-warn" if filled >= WIDTH * 8 // 10 else ""
    )
    bars = rect(0, 0, WIDTH, 6) + rect(0, 0, filled, 6)
    attributes = {"role": "img", "aria-label": label}
    return stretched_svg(f"meter{tone}", width=WIDTH, height=6, inner=bars, attributes=attributes)


def room_bar(*, used: int, held: int, needed: int, limit: int, label: str) -> str:
    """
    Return a bar of what is used, held and wanted on top, with a mark where the limit is.

    It is as long as the limit, or as all three together where they pass it.
    """
    whole = max(limit, used + held + needed, 1)
    at, parts = 0.0, rect(0, 0, WIDTH, 12)
    for amount, css_class in ((used, "room-used"), (held, "room-held"), (needed, "room-needed")):
        width = max(0, amount) * WIDTH / whole
        parts += rect(at, 0, width, 12, css_class)
        at += width
    parts += rect(min(limit * WIDTH / whole, WIDTH - 4), 0, 4, 12, "room-limit")
    attributes = {"role": "img", "aria-label": label}
    return stretched_svg("room", width=WIDTH, height=12, inner=parts, attributes=attributes)


def uptime_strip(title: str, *, days: Sequence[tuple[str, float | None]]) -> str:
    """
    Return a bar for each day, coloured by the share in percent of it that was up; None is a day nobody knows of.

    The label says in words what the colours say: every day below 100, by its name.
    """
    width = WIDTH / max(len(days), 1)
    bars = "".join(
        element(
            "g",
            {"class": _strip_class(percent)},
            element("title", {}, f"{escape(name)}: {_strip_words(percent)}")
            + rect(at * width, 0, width - 2, 32),
        )
        for at, (name, percent) in enumerate(days)
    )
    below = [
        f"{name} {percent:g} %" for name, percent in days if percent is not None and percent < 100
    ]
    told = "; ".join(below) if below else "no day below 100 %"
    label = (
        f"{title}, {len(days)} days: {told}"
        if any(p is not None for _, p in days)
        else f"{title}: no data yet"
    )
    return stretched_svg(
        "strip", width=WIDTH, height=32, inner=bars, attributes={"role": "img", "aria-label": label}
    )


def _strip_class(percent: float | None) -> str:
    if percent is None:
        return "strip-none"
    return "strip-ok" if percent >= 99.9 else "strip-warn" if percent >= 98 else "strip-bad"


def _strip_words(percent: float | None) -> str:
    return "no data" if percent is None else f"{percent:g} %"


def _phase_row(phase: Phase, total: int) -> str:
    x = phase.start_ms * WIDTH / total
    width = max(4.0, phase.duration_ms * WIDTH / total)
    bar = element("path", {"class": "wf-track", "d": f"M0 6H{WIDTH}"}) + rect(
        min(x, WIDTH - width), 0, width, 12, f"wf-{phase.kind}"
    )
    drawing = stretched_svg(
        "wf", width=WIDTH, height=12, inner=bar, attributes={"aria-hidden": "true"}
    )
    note = element("small", {}, escape(phase.note)) if phase.note else ""
    return element(
        "tr",
        {},
        element("th", {"scope": "row"}, escape(phase.label) + note)
        + element("td", {"class": "wf-bar"}, drawing)
        + element("td", {"class": "num wf-start"}, formats.milliseconds_text(phase.start_ms))
        + element("td", {"class": "num"}, formats.milliseconds_text(phase.duration_ms)),
    )

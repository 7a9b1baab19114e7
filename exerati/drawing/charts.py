"""Charts as server-side SVG, each with its data table: integers in, labelled HTML out; pure.

The plot is stretched over its frame (`preserveAspectRatio="none"`), so a unit of x is a share of
the width and a unit of y one pixel. All words stand beside it as HTML and keep their size. Colours
come from classes, because the content security policy forbids style attributes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from itertools import count

from exerati.drawing import formats
from exerati.drawing.markup import Attributes, element, rect, stretched_svg, table

Format = Callable[[int], str]

WIDTH = 1000
HEIGHT = 200
THICK = 3  # pixels from which a segment has room for a gap
MAX_SERIES = 6  # the palette's colours; what is past them is summed as "Other"
MAX_X_LABELS = 6
NOTHING = "\N{EN DASH}"
MAX_STEPS = 5  # of the y axis
DASHES = ("", "7 4", "2 4", "10 4 2 4", "12 5", "4 2")  # lines differ by more than colour


@dataclass(frozen=True, slots=True)
class Series:
    """One named row of numbers, one a bucket; None where nothing was measured."""

    name: str
    values: Sequence[int | None]


@dataclass(frozen=True, slots=True)
class Bucket:
    """One position on the x axis; `href` leads to the rows behind it."""

    label: str
    href: str = ""


@dataclass(frozen=True, slots=True)
class Chart:
    """Rendered parts, already escaped: the drawing, its table, and the whole figure."""

    svg: str
    table: str
    html: str


def stacked_bars(
    title: str,
    *,
    buckets: Sequence[Bucket],
    series: Sequence[Series],
    format_value: Format = formats.count_text,
    format_axis: Format | None = None,
    empty: str = "No requests in this range.",
    axis: str = "Time",
    line: Series | None = None,
) -> Chart:
    """
    Return bars stacked in the order of the series; None counts as 0. Values are 0 or above.

    `line` is drawn over them, to compare with: the time before, or a limit.
    """
    series, over = top_series(series), [line] if line else []
    totals = [sum(row.values[i] or 0 for row in series) for i in range(len(buckets))]
    scale = axis_scale(
        max([*totals, *(value or 0 for row in over for value in row.values)], default=0)
    )
    rows = data_table(
        title,
        buckets=buckets,
        series=[*_with_total(series, totals), *over],
        format_value=format_value,
        axis=axis,
    )
    bars = "".join(
        _bucket(
            bucket,
            i,
            len(buckets),
            text=format_value(totals[i]),
            inner=_stack(i, series, len(buckets), scale[-1]),
        )
        for i, bucket in enumerate(buckets)
    )
    bars += "".join(_over(row.values, scale[-1]) for row in over)
    svg = _plot(_summary(title, buckets, totals, format_value), _grid(len(scale) - 1) + bars)
    frame = _frame(svg, scale=scale, buckets=buckets, format_axis=format_axis or format_value)
    return _figure(
        title,
        svg,
        rows,
        legend=_legend(series, _bar_swatch, over=over),
        frame=frame,
        empty="" if any(totals) else empty,
    )


def lines(
    title: str,
    *,
    buckets: Sequence[Bucket],
    series: Sequence[Series],
    format_value: Format = formats.milliseconds_text,
    format_axis: Format | None = None,
    empty: str = "No requests in this range.",
    axis: str = "Time",
) -> Chart:
    """Return one line per series, at most six, broken where a value is None."""
    if len(series) > MAX_SERIES:
        raise ValueError(f"a line chart shows at most {MAX_SERIES} series, not {len(series)}")
    known = [value for row in series for value in row.values if value is not None]
    scale = axis_scale(max(known, default=0))
    rows = data_table(title, buckets=buckets, series=series, format_value=format_value, axis=axis)
    paths = "".join(_line(row.values, number, scale[-1]) for number, row in enumerate(series))
    hits = "".join(
        _bucket(bucket, i, len(buckets), text="", inner="") for i, bucket in enumerate(buckets)
    )
    svg = _plot(_summary(title, buckets, known, format_value), _grid(len(scale) - 1) + paths + hits)
    frame = _frame(svg, scale=scale, buckets=buckets, format_axis=format_axis or format_value)
    return _figure(
        title,
        svg,
        rows,
        legend=_legend(series, _line_swatch),
        frame=frame,
        empty="" if known else empty,
    )


def data_table(
    title: str,
    *,
    buckets: Sequence[Bucket],
    series: Sequence[Series],
    format_value: Format,
    axis: str,
) -> str:
    """Return the table behind a chart: a row per bucket, a column per series, a dash for None."""
    head = element("th", {"scope": "col"}, escape(axis))
    head += "".join(
        element("th", {"scope": "col", "class": "num"}, escape(row.name)) for row in series
    )
    body = "".join(
        element(
            "tr",
            {},
            _row_head(bucket) + "".join(_cell(row.values[i], format_value) for row in series),
        )
        for i, bucket in enumerate(buckets)
    )
    return table(title, head=head, body=body, css_class="table table-compact table-keep")


def top_series(series: Sequence[Series], limit: int = MAX_SERIES) -> list[Series]:
    """Return the `limit` largest series in their given order, the rest summed as "Other"."""
    if len(series) <= limit:
        return list(series)
    ranked = sorted(
        range(len(series)), key=lambda i: -sum(value or 0 for value in series[i].values)
    )
    kept = [series[i] for i in sorted(ranked[: limit - 1])]
    rest = [series[i].values for i in ranked[limit - 1 :]]
    others = [sum(value or 0 for value in bucket) for bucket in zip(*rest, strict=True)]
    return [*kept, Series("Other", others)]


def axis_scale(highest: int) -> list[int]:
    """Return round axis values from 0 to at least `highest`, in one to five equal steps."""
    sizes = (factor * 10**power for power in count() for factor in (1, 2, 5))
    step = next(size for size in sizes if size * MAX_STEPS >= highest)
    steps = max(1, -(-highest // step))
    return [step * i for i in range(steps + 1)]


def _with_total(series: Sequence[Series], totals: Sequence[int]) -> list[Series]:
    """Return the columns of the table: a sum stands only beside two or more."""
    return [*series, Series("Total", totals)] if len(series) > 1 else list(series)


def _row_head(bucket: Bucket) -> str:
    label = escape(bucket.label)
    return element(
        "th", {"scope": "row"}, element("a", {"href": bucket.href}, label) if bucket.href else label
    )


def _cell(value: int | None, format_value: Format) -> str:
    return element(
        "td", {"class": "num"}, NOTHING if value is None else escape(format_value(value))
    )


def share(index: int, length: int, width: int) -> float:
    """Return the x of the middle of one of `length` equal slots."""
    return round((index + 0.5) * width / length, 2)


def path(points: Sequence[tuple[float, float]]) -> str:
    """Return the path data of a line through the points."""
    return "M" + "L".join(f"{x} {y}" for x, y in points)


def dot(point: tuple[float, float], css_class: str) -> str:
    """Return a round dot: a line without length keeps its shape when the plot is stretched."""
    return element(
        "path", {"class": f"chart-dot {css_class}".strip(), "d": f"M{point[0]} {point[1]}h0"}
    )


def _grid(steps: int) -> str:
    """Return hairlines at the axis values; the base line is stronger."""
    heights = [round(i * HEIGHT / steps, 2) for i in range(steps + 1)]
    hairlines = "".join(
        element("path", {"class": "chart-grid", "d": f"M0 {y}H{WIDTH}"}) for y in heights[:-1]
    )
    return hairlines + element(
        "path", {"class": "chart-grid chart-base", "d": f"M0 {HEIGHT}H{WIDTH}"}
    )


def _bucket(bucket: Bucket, index: int, length: int, *, text: str, inner: str) -> str:
    """Return one slot with its full-height target and, for pages without JavaScript, its title."""
    slot = WIDTH / length
    title = element("title", {}, escape(f"{bucket.label}: {text}")) if text else ""
    return element(
        "g",
        {"class": "chart-bucket"},
        title + rect(index * slot, 0, slot, HEIGHT, "chart-hit") + inner,
    )


def _stack(index: int, series: Sequence[Series], length: int, top: int) -> str:
    """Return the segments of one bar, a hairline apart where there is room; above 0 it is at least a pixel."""
    slot = WIDTH / length
    bars, below = "", 0
    for number, row in enumerate(series, start=1):
        value = row.values[index] or 0
        low, high = below * HEIGHT / top, (below + value) * HEIGHT / top
        height = max(1.0, high - low - (high - low > THICK))
        if value:
            bars += rect(
                (index + 0.14) * slot, HEIGHT - low - height, slot * 0.72, height, f"fill-{number}"
            )
        below += value
    return bars


def _over(values: Sequence[int | None], top: int) -> str:
    """Return the line over bars: grey and dashed, so that it is none of the series."""
    return _runs(values, top, {"class": "chart-line chart-over", "stroke-dasharray": "5 4"})


def _line(values: Sequence[int | None], number: int, top: int) -> str:
    """Return the runs of known values as paths; a run of one is a dot."""
    style = {"class": f"chart-line stroke-{number + 1}", "stroke-dasharray": DASHES[number]}
    return _runs(values, top, style)


def _runs(values: Sequence[int | None], top: int, style: Attributes) -> str:
    runs: list[list[tuple[float, float]]] = [[]]
    for i, value in enumerate(values):
        if value is None:
            runs.append([])
        else:
            runs[-1].append((share(i, len(values), WIDTH), round(HEIGHT - value * HEIGHT / top, 2)))
    dot_class = str(style["class"]).removeprefix("chart-line ")
    return "".join(
        element("path", {**style, "d": path(run)}) if len(run) > 1 else dot(run[0], dot_class)
        for run in runs
        if run
    )


def _plot(label: str, inner: str) -> str:
    attributes = {"role": "img", "aria-label": label}
    return stretched_svg(
        "chart-plot", width=WIDTH, height=HEIGHT, inner=inner, attributes=attributes
    )


def _summary(
    title: str, buckets: Sequence[Bucket], values: Sequence[int], format_value: Format
) -> str:
    """Return the chart in one sentence, for those who do not see it."""
    if not buckets or not any(values):
        return f"{title}: nothing in this range"
    return (
        f"{title}, {buckets[0].label} to {buckets[-1].label}: highest {format_value(max(values))}"
    )


def _bar_swatch(number: int) -> str:
    return rect(3, 0, 8, 8, f"fill-{number + 1}")


def _over_swatch() -> str:
    return element(
        "path", {"class": "chart-line chart-over", "stroke-dasharray": "5 4", "d": "M0 4H14"}
    )


def _line_swatch(number: int) -> str:
    style = {"class": f"chart-line stroke-{number + 1}", "stroke-dasharray": DASHES[number]}
    return element("path", style | {"d": "M0 4H14"})


def _legend(
    series: Sequence[Series], swatch: Callable[[int], str], *, over: Sequence[Series] = ()
) -> str:
    """Return the names beside their colours; a lone series needs none."""
    if len(series) + len(over) < 2:
        return ""
    box = {"class": "chart-swatch", "viewBox": "0 0 14 8", "aria-hidden": "true"}
    items = "".join(
        element("li", {}, element("svg", box, swatch(number)) + escape(row.name))
        for number, row in enumerate(series)
    )
    items += "".join(
        element("li", {}, element("svg", box, _over_swatch()) + escape(row.name)) for row in over
    )
    return element("ul", {"class": "chart-legend"}, items)


def _frame(
    svg: str, *, scale: Sequence[int], buckets: Sequence[Bucket], format_axis: Format
) -> str:
    y_axis = "".join(element("li", {}, escape(format_axis(value))) for value in reversed(scale))
    every = -(-len(buckets) // MAX_X_LABELS) or 1
    x_axis = "".join(
        _x_label(buckets[i].label, i, len(buckets)) for i in range(0, len(buckets), every)
    )
    return (
        element("ol", {"class": "chart-y", "aria-hidden": "true"}, y_axis)
        + element("div", {"class": "chart-focus"}, svg)
        + element("svg", {"class": "chart-x", "aria-hidden": "true"}, x_axis)
    )


def _x_label(text: str, index: int, length: int) -> str:
    place: Attributes = {
        "x": f"{share(index, length, 100)}%",
        "y": 11,
        "text-anchor": _anchor(index, length),
    }
    return element("text", place, escape(text))


def _anchor(index: int, length: int) -> str:
    """Return how a label hangs on its point, so that the outer ones stay inside the frame."""
    if length < 2 * MAX_X_LABELS:
        return "middle"
    return "start" if index == 0 else "end" if index == length - 1 else "middle"


def _figure(title: str, svg: str, rows: str, *, legend: str, frame: str, empty: str) -> Chart:
    """Return the whole chart; an empty one keeps its axes and says so in place of a table."""
    head = element(
        "figcaption",
        {"class": "chart-head"},
        element("span", {"class": "chart-title"}, escape(title)) + legend,
    )
    note = element("p", {"class": "chart-empty"}, escape(empty)) if empty else ""
    scroll = element(
        "div",
        {"class": "chart-scroll", "tabindex": 0, "role": "region", "aria-label": f"{title}: data"},
        rows,
    )
    data = element("details", {"class": "chart-data"}, element("summary", {}, "Show data") + scroll)
    html = element("div", {"class": "chart-frame"}, frame + note)
    return Chart(
        svg=svg,
        table=rows,
        html=element("figure", {"class": "chart"}, head + html + ("" if empty else data)),
    )

"""Charts: geometry, escaping, tables and what is said of them."""

import re
import xml.etree.ElementTree as ET

import pytest

from exerati.drawing import formats
from exerati.drawing.charts import (
    HEIGHT,
    MAX_SERIES,
    Bucket,
    Series,
    axis_scale,
    lines,
    stacked_bars,
    top_series,
)
from exerati.drawing.small_charts import Phase, meter, room_bar, sparkline, uptime_strip, waterfall

DAYS = [Bucket("1 Nov"), Bucket("2 Nov", href="?day=2"), Bucket("3 Nov")]


def rectangles(svg: str, css_class: str) -> list[dict[str, float]]:
    """Return x, y, width, height of the rectangles of a class."""
    found = ET.fromstring(svg).iter("rect")  # noqa: S314  our own output
    names = ("x", "y", "width", "height")
    return [{n: float(r.attrib[n]) for n in names} for r in found if r.get("class") == css_class]


def test_bars_stack_to_the_axis_value_of_their_sum():
    chart = stacked_bars(
        "Spend", buckets=DAYS, series=[Series("a", [5, 0, 2]), Series("b", [5, 0, 3])]
    )

    bottom, top = rectangles(chart.svg, "fill-1")[0], rectangles(chart.svg, "fill-2")[0]

    assert axis_scale(10)[-1] == 10
    assert bottom["y"] + bottom["height"] == HEIGHT
    assert top["y"] == pytest.approx(1)  # full height less the hairline
    assert bottom["y"] - (top["y"] + top["height"]) == pytest.approx(1)
    assert len(rectangles(chart.svg, "fill-1")) == 2  # nothing is drawn for 0


def test_smallest_value_is_still_a_pixel():
    chart = stacked_bars("Spend", buckets=DAYS, series=[Series("a", [1_000_000, 1, 0])])

    assert rectangles(chart.svg, "fill-1")[1]["height"] == 1


def test_table_has_each_value_the_total_and_the_link():
    chart = stacked_bars(
        "Spend",
        buckets=DAYS,
        series=[Series("a", [1_500_000_000, 0, 0]), Series("b", [250_000_000, 0, None])],
        format_value=formats.sum_text,
    )

    assert (
        '<td class="num">$1.50</td><td class="num">$0.25</td><td class="num">$1.75</td>'
        in chart.table
    )
    assert '<th scope="row"><a href="?day=2">2 Nov</a></th>' in chart.table
    assert chart.table in chart.html


def test_names_are_escaped_in_drawing_table_and_legend():
    chart = stacked_bars(
        '<b>"t"', buckets=[Bucket("<i>")], series=[Series("<script>", [1]), Series("b", [1])]
    )

    assert "<script>" not in chart.html
    assert "<i>" not in chart.html
    assert "<b>" not in chart.html
    assert "&lt;script&gt;" in chart.html


def test_charts_carry_no_style_attribute():
    chart = lines("p50", buckets=DAYS, series=[Series("p50", [1, 2, 3])])

    assert not re.search(r"\sstyle=", chart.html)


def test_empty_chart_keeps_its_axes_and_says_so():
    chart = stacked_bars(
        "Requests", buckets=DAYS, series=[Series("all", [0, 0, 0])], empty="Nothing yet."
    )

    assert "Nothing yet." in chart.html
    assert "chart-y" in chart.html
    assert "<table" not in chart.html


def test_chart_without_buckets_is_empty_and_does_not_fail():
    assert "No requests in this range." in lines("p50", buckets=[], series=[Series("p50", [])]).html


def test_line_breaks_where_nothing_was_measured():
    values = [1, 2, None, 3]
    chart = lines("p50", buckets=[Bucket(str(i)) for i in range(4)], series=[Series("p50", values)])

    assert chart.svg.count('class="chart-line') == 1
    assert chart.svg.count('class="chart-dot') == 1
    assert "\N{EN DASH}</td>" in chart.table


def test_lines_differ_by_more_than_colour():
    series = [Series(str(i), [i, i + 1, i]) for i in range(MAX_SERIES)]

    svg = lines("p50", buckets=DAYS, series=series).svg
    dashes = [
        re.search(r'stroke-dasharray="([^"]*)"', path)
        for path in re.findall("<path[^>]*chart-line[^>]*", svg)
    ]

    assert len({dash and dash.group(1) for dash in dashes}) == MAX_SERIES


def test_more_lines_than_colours_are_refused():
    with pytest.raises(ValueError, match="at most 6"):
        lines("p50", buckets=DAYS, series=[Series(str(i), [1, 1, 1]) for i in range(7)])


def test_series_past_six_are_summed_as_other_and_nothing_is_lost():
    series = [Series(f"s{i}", [i, 2 * i, None]) for i in range(9)]

    kept = top_series(series)

    assert [row.name for row in kept] == ["s4", "s5", "s6", "s7", "s8", "Other"]
    assert sum(sum(v or 0 for v in row.values) for row in kept) == 3 * sum(range(9))


@pytest.mark.parametrize(
    ("highest", "scale"),
    [
        (0, [0, 1]),
        (1, [0, 1]),
        (7, [0, 2, 4, 6, 8]),
        (100, [0, 20, 40, 60, 80, 100]),
        (3_100_000_000, [0, 1_000_000_000, 2_000_000_000, 3_000_000_000, 4_000_000_000]),
    ],
)
def test_axis_is_round_and_covers_the_highest(highest, scale):
    assert axis_scale(highest) == scale


def test_sparkline_says_lowest_highest_and_last():
    chart = sparkline("Requests", buckets=DAYS, values=[3, 9, 1_204])

    assert 'aria-label="Requests: lowest 3, highest 1,204, last 1,204"' in chart.html
    assert "no data" in sparkline("Requests", buckets=[], values=[]).html


def test_waterfall_bars_share_one_time_axis():
    phases = [Phase("a", 0, 250), Phase("b", 250, 750, "wait"), Phase("c", 1000, 0)]
    html = waterfall("Request", phases=phases).html

    assert rectangles(html, "wf-own")[0]["width"] == 250
    assert rectangles(html, "wf-wait")[0] == {"x": 250, "y": 0, "width": 750, "height": 12}
    last = rectangles(html, "wf-own")[1]
    assert last["x"] + last["width"] == 1000  # a phase of no length is a visible mark inside


@pytest.mark.parametrize(
    ("used", "tone"), [(79, "meter"), (80, "meter meter-warn"), (100, "meter meter-danger")]
)
def test_meter_changes_its_tone_with_its_share(used, tone):
    assert f'class="{tone}"' in meter(used, limit=100, label="spend")


@pytest.mark.parametrize(
    ("used", "held", "needed", "limit", "ends", "mark"),
    [
        (50, 25, 50, 100, 1.0, 0.8),  # longer than the limit: all of it is shown, the mark inside
        (10, 10, 10, 100, 0.3, 1.0),
        (0, 0, 5, 0, 1.0, 0.0),
        (0, 0, 0, 0, 0.0, 0.0),
    ],
)
def test_bar_of_room_shows_what_is_used_held_and_wanted_against_the_limit(
    used, held, needed, limit, ends, mark
):
    svg = ET.fromstring(  # noqa: S314  our own markup
        room_bar(used=used, held=held, needed=needed, limit=limit, label="Room <b>")
    )

    width = float(svg.attrib["viewBox"].split()[2])
    track, *parts, line = list(svg)
    assert svg.attrib["aria-label"] == "Room <b>"
    assert float(track.attrib["width"]) == width
    at = 0.0
    for part in parts:
        assert float(part.attrib["x"]) == pytest.approx(at, abs=0.02)
        at += float(part.attrib["width"])
    assert at == pytest.approx(ends * width, abs=0.05)
    assert float(line.attrib["x"]) == pytest.approx(min(mark * width, width - 4), abs=0.02)


def test_uptime_strip_says_in_words_what_its_colours_say():
    strip = uptime_strip(
        "API", days=[("1 Mar", None), ("2 Mar", 100.0), ("3 Mar", 99.5), ("4 Mar", 12.0)]
    )

    assert 'aria-label="API, 4 days: 3 Mar 99.5 %; 4 Mar 12 %"' in strip
    assert re.findall(r'class="(strip-\w+)"', strip) == [
        "strip-none", "strip-ok", "strip-warn", "strip-bad",
    ]  # fmt: skip


def test_uptime_strip_without_data_says_so():
    assert 'aria-label="API: no data yet"' in uptime_strip("API", days=[("1 Mar", None)])

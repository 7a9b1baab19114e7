"""Template tags: what they write, that they escape, and that the design's promises hold."""

import re
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from django import forms
from django.template import Context, Template, TemplateSyntaxError
from django.utils import timezone

ROOT = Path(__file__).resolve().parents[2]
# Mail programs take styles in attributes alone, so mails are no pages.
TEMPLATES = sorted(
    set((ROOT / "templates").rglob("*.html")) - set((ROOT / "templates/emails").iterdir())
)


def render(source: str, **values: Any) -> str:
    """Return the template's text with the tags loaded."""
    return Template("{% load ui %}" + source).render(Context(values))


def test_button_is_a_link_when_it_has_an_address():
    assert render('{% button "Docs" href="/docs/" %}') == '<a class="button" href="/docs/">Docs</a>'


def test_button_passes_attributes_and_leaves_out_what_is_off():
    html = render('{% button "Go" type="submit" hx_post="/x/" disabled=off %}', off=False)

    assert html == '<button class="button" type="submit" hx-post="/x/">Go</button>'


@pytest.mark.parametrize(
    "source",
    [
        "{% button evil href=evil hx_get=evil %}",
        "{% badge evil %}",
        "{% copy evil %}",
        "{% copyable evil %}",
        "{% secret evil label=evil %}",
        "{% page_header evil evil back=evil back_url=evil %}{% endpage_header %}",
        "{% panel evil more=evil more_url=evil %}{% endpanel %}",
        "{% stat evil href=evil note=evil %}{{ evil }}{% endstat %}",
        '{% callout "warn" evil %}{{ evil }}{% endcallout %}',
        '{% empty_state evil icon="info" %}{{ evil }}{% endempty_state %}',
        "{% tabs links label=evil %}",
        "{% meter 1 2 label=evil %}",
        '{% code "bash" label=evil %}echo {{ evil }}{% endcode %}',
        '{% snippets evil %}{% code "bash" label=evil %}{{ evil }}{% endcode %}{% endsnippets %}',
    ],
)
def test_every_argument_is_escaped(source):
    evil = '"><script>alert(1)</script>'

    html = render(source, evil=evil, links=[(evil, evil, True)])

    assert "<script>" not in html
    assert evil not in html


def test_badge_carries_an_icon_beside_its_word():
    html = render('{% badge "Revoked" tone="danger" %}')

    assert "#circle-x" in html
    assert html.endswith("Revoked</span>")


@pytest.mark.parametrize(
    ("tag", "value", "text"),
    [
        ("money", 12_345_670_000, "$12.35"),
        ("money", 0, "$0.00"),
        ("money", -1_200_000_000, "-$1.20"),
        ("cost", 3_100_000, "$0.0031"),
        ("cost", 1, "$0.000000001"),
        ("cost", 1_684_000, "$0.001684"),
        ("cost", 12_345_678_901, "$12.3457"),
        ("cost", 123_456_789_000_000, "$123,456.79"),
        ("price", 150_000, "$0.15"),
        ("price", 15_000_000, "$15.00"),
        ("tokens", 1_204, "1,204 tokens"),
        ("tokens", 1, "1 token"),
        ("duration", 412, "412 ms"),
        ("duration", 1_240, "1.24 s"),
        ("duration", 125_000, "2 min 5 s"),
    ],
)
def test_numbers_read_as_people_say_them(tag, value, text):
    assert f">{text}<" in render("{% " + tag + " value %}", value=value)


def test_whole_amount_stands_in_the_tooltip():
    html = render("{% cost value %}", value=12_345_678_901)

    assert 'value="12.345678901"' in html
    assert 'title="$12.345678901"' in html


@pytest.mark.parametrize("tag", ["money", "cost", "price", "tokens", "number", "duration"])
def test_unknown_is_not_zero(tag):
    html = render("{% " + tag + " value %}", value=None)

    assert "not known" in html
    assert "0" not in html


def test_moment_names_its_zone_and_is_exact_for_machines():
    with timezone.override(UTC):
        html = render("{% moment at %}", at=datetime(2026, 11, 2, 9, 5, 7, tzinfo=UTC))

    assert 'datetime="2026-11-02T09:05:07.000Z"' in html
    assert "2 Nov 2026" in html
    assert "UTC" in html


@pytest.mark.parametrize(
    ("distance", "text"),
    [
        (timedelta(seconds=3), "just now"),
        (timedelta(seconds=42), "42 s ago"),
        (timedelta(minutes=3), "3 min ago"),
        (timedelta(hours=30), "1 d ago"),
        (timedelta(days=-6, hours=-23), "in 7 d"),
        (timedelta(hours=-30), "in 1 d"),
        (timedelta(minutes=-59, seconds=-40), "in 1 h"),
    ],
)
def test_ago_says_the_largest_unit(distance, text):
    assert f">{text}<" in render("{% ago at %}", at=datetime.now(UTC) - distance)


def test_never_used_is_a_word():
    assert ">never<" in render("{% ago at %}", at=None)


def test_code_is_highlighted_but_its_text_is_what_was_written():
    html = render(
        '{% code "bash" label="curl" %}curl -d \'{"a": "{{ v }}"}\' {{ url }}{% endcode %}',
        v="<&>",
        url="u",
    )
    block = html.split('<code class="hl">')[1].split("</code>")[0]

    assert unescape(re.sub("<[^>]+>", "", block)) == 'curl -d \'{"a": "<&>"}\' u'
    assert 'class="s' in html


def test_code_without_a_language_is_refused():
    with pytest.raises(TemplateSyntaxError):
        render("{% code %}x{% endcode %}")


def test_snippets_show_the_first_language_without_a_script():
    html = render(
        '{% snippets "s" %}{% code "bash" label="curl" %}a{% endcode %}'
        '{% code "python" label="Python" %}b{% endcode %}{% endsnippets %}'
    )

    assert re.findall(r'value="(\w+)"( checked)?', html) == [("curl", " checked"), ("Python", "")]


def test_rail_link_without_an_address_is_left_out():
    assert render('{% rail_link "Team" icon="users" url="" key="team" %}') == ""


def test_rail_link_marks_the_present_page():
    html = render('{% rail_link "Team" icon="users" url="/t/" key="team" %}', nav_active="team")

    assert 'aria-current="page"' in html


class SampleForm(forms.Form):
    name = forms.CharField(help_text="Shown to people.")
    note = forms.CharField(required=False)


def test_field_ties_hint_and_error_to_its_control():
    html = render("{% form_fields form %}", form=SampleForm({}))

    assert 'aria-describedby="id_name_helptext id_name_error"' in html
    assert 'id="id_name_helptext"' in html
    assert 'id="id_name_error"' in html
    assert '<label for="id_name">' in html


def test_errors_are_summarised_and_linked():
    html = render("{% form_fields form %}", form=SampleForm({}))

    assert 'role="alert"' in html
    assert '<a href="#id_name">Name</a>' in html
    assert '<a href="#id_note">' not in html


def test_optional_fields_say_so():
    html = render("{% form_fields form %}", form=SampleForm())

    assert html.count("optional") == 2  # the class and the word, once
    assert 'role="alert"' not in html


def test_boxes_to_check_do_not_say_that_they_are_optional():
    class Boxes(forms.Form):
        kinds = forms.MultipleChoiceField(
            choices=[("a", "A"), ("b", "B")], required=False, widget=forms.CheckboxSelectMultiple
        )

    html = render("{% form_fields form %}", form=Boxes())

    assert "<legend>Kinds</legend>" in html


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_templates_have_nothing_inline(path):
    source = path.read_text()

    assert not re.search(r"\sstyle=|<style|\son[a-z]+=|javascript:", source)
    scripts = re.findall(r"<script[^>]*>", source)
    assert all("src=" in tag or 'type="application/json"' in tag for tag in scripts)  # or data


def test_every_icon_that_is_used_is_in_the_sprite():
    sprite = set(re.findall(r'<symbol id="([^"]+)"', (ROOT / "static/img/icons.svg").read_text()))
    used = set()
    for path in TEMPLATES:
        used |= set(re.findall(r'(?:\bicon=|{% icon )"([a-z0-9-]+)"', path.read_text()))

    assert used
    assert used <= sprite


def luminance(colour: str) -> float:
    """Return the relative luminance of `#rrggbb` (WCAG 2.2)."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two colours."""
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


COLOURS = {
    name: (light, dark)
    for name, light, dark in re.findall(
        r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\)",
        (ROOT / "static/css/tokens.css").read_text(),
    )
}


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("surface", ["page", "surface", "raised", "sunk", "hover"])
@pytest.mark.parametrize("name", ["text", "muted", "accent", "danger", "warn", "ok"])
def test_words_can_be_read_on_every_surface(name, surface, theme):
    assert contrast(COLOURS[name][theme], COLOURS[surface][theme]) >= 4.5


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("name", ["control", *(f"series-{i}" for i in range(1, 7))])
def test_controls_and_series_stand_out(name, theme):
    assert contrast(COLOURS[name][theme], COLOURS["surface"][theme]) >= 3


def test_every_hotkey_is_listed_once():
    script = (ROOT / "static/js/hotkeys.js").read_text()
    [pages] = re.findall(r"const PAGES = \{(.*?)\}", script)
    [actions] = re.findall(r"const ACTIONS = \{(.*?)\n\};", script, re.DOTALL)
    known = [f"g {key}" for key in re.findall(r"(\w): \"", pages)]
    known += re.findall(r"^  \"?(.)\"?:", actions, re.MULTILINE)

    dialog = (ROOT / "templates/components/hotkeys.html").read_text()
    terms = re.findall(r"<dt>(.*?)</dt>", dialog)
    listed = [" ".join(re.findall(r"<kbd>(.*?)</kbd>", term)) for term in terms]

    assert len(known) > 10
    assert len(set(listed)) == len(listed)
    assert set(" ".join(listed).split()) >= set(" ".join(known).split())
    assert {one for one in listed if one.startswith("g ")} == {
        one for one in known if one.startswith("g ")
    }

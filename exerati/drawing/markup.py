"""Writes HTML and SVG elements with every attribute value escaped; pure."""

from collections.abc import Mapping
from html import escape

Attributes = Mapping[str, str | int | float]


def element(name: str, attributes: Attributes, inner: str = "") -> str:
    """Return an element around markup that is already safe; empty attributes are left out."""
    given = "".join(
        f' {key}="{escape(str(value))}"' for key, value in attributes.items() if value != ""
    )
    return f"<{name}{given}>{inner}</{name}>"


def stretched_svg(
    css_class: str, *, width: int, height: int, inner: str, attributes: Attributes
) -> str:
    """Return a drawing that fills whatever box its class gives it, without keeping proportions."""
    frame = {"class": css_class, "viewBox": f"0 0 {width} {height}", "preserveAspectRatio": "none"}
    return element("svg", frame | dict(attributes), inner)


def rect(x: float, y: float, width: float, height: float, css_class: str = "") -> str:
    """Return a rectangle; coordinates are rounded to two decimals."""
    box: dict[str, str | float] = {"class": css_class}
    box |= {
        "x": round(x, 2),
        "y": round(y, 2),
        "width": round(width, 2),
        "height": round(height, 2),
    }
    return element("rect", box)


def table(caption: str, *, head: str, body: str, css_class: str) -> str:
    """Return a table from ready rows, its caption for screen readers only."""
    title = element("caption", {"class": "sr-only"}, escape(caption))
    columns = element("thead", {}, element("tr", {}, head))
    return element("table", {"class": css_class}, title + columns + element("tbody", {}, body))

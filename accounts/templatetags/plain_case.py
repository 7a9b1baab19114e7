"""Titles of library pages in sentence case, as all of ours are."""

from django import template

register = template.Library()


@register.filter
def sentence_case(text: str) -> str:
    """Return `Activate Authenticator App` as `Activate authenticator app`; what holds markup stays as it is."""
    if "<" in text:
        return text
    words = text.split()
    return " ".join(
        word if not word.istitle() else word.lower() if index else word.capitalize()
        for index, word in enumerate(words)
    )

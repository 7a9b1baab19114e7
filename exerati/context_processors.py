"""Values every template may use."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest

THEMES = ("light", "dark")
COMPACT = "compact"


def site(request: HttpRequest) -> dict[str, Any]:
    """
    Return the public addresses, and what the visitor chose: the theme, "" follows the system, and rows, "" is normal.

    Names are those that no page uses for its own: a list of rows once stood whole in the attribute for their height.
    """
    theme = request.COOKIES.get("theme", "")
    return {
        "site_url": settings.SITE_URL,
        "api_base_url": settings.API_BASE_URL,
        "theme": theme if theme in THEMES else "",
        "row_height": COMPACT if request.COOKIES.get("rows") == COMPACT else "",
        "debug": settings.DEBUG,
    }

"""
Browsers: what they are called, and whether somebody has signed in with one before.

A browser that was signed in with keeps a signed cookie of random-looking marks, one for each person (at most eight),
for a year. It lets nobody in; without it a sign-in is told by mail.
"""

import re
from datetime import timedelta

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import salted_hmac

from accounts.models import User

COOKIE = "known_device"
LIFE = timedelta(days=365)
MOST_PEOPLE = 8
UNKNOWN = "an unknown browser"
# In the order in which they are tried: most browsers also name those that they descend from.
BROWSERS = (
    ("Edge", r"Edg(?:e|A|iOS)?/"),
    ("Opera", r"OPR/|Opera"),
    ("Samsung Internet", r"SamsungBrowser/"),
    ("Vivaldi", r"Vivaldi/"),
    ("Firefox", r"Firefox/|FxiOS/"),
    ("Chrome", r"HeadlessChrome/|Chrome/|CriOS/|Chromium/"),
    ("Safari", r"Version/[\d.]+ .*Safari/"),
    ("curl", r"^curl/"),
    ("Python", r"python-(?:requests|httpx|urllib)|aiohttp/"),
)
SYSTEMS = (
    ("iPhone", r"iPhone"),
    ("iPad", r"iPad"),
    ("Android", r"Android"),
    ("ChromeOS", r"CrOS"),
    ("Windows", r"Windows"),
    ("macOS", r"Macintosh|Mac OS X"),
    ("Linux", r"Linux|X11"),
)


def name_of(user_agent: str) -> str:
    """Return what people call a browser and its system, such as `Firefox on Linux`."""
    browser, system = _first(BROWSERS, user_agent), _first(SYSTEMS, user_agent)
    if browser and system:
        return f"{browser} on {system}"
    return browser or (f"a browser on {system}" if system else UNKNOWN)


def is_phone(user_agent: str) -> bool:
    """Say whether the system is one of those that people carry."""
    return _first(SYSTEMS, user_agent) in ("iPhone", "iPad", "Android")


def is_known(request: HttpRequest, user: User) -> bool:
    """Say whether somebody has signed in with the browser of a request before."""
    return _mark(user) in _marks(request)


def remember(request: HttpRequest, response: HttpResponse, user: User) -> None:
    """Let the browser say next time that this person was here before."""
    mark = _mark(user)
    marks = [mark, *(one for one in _marks(request) if one != mark)][:MOST_PEOPLE]
    response.set_cookie(
        COOKIE,
        signing.dumps(marks, salt=COOKIE),
        max_age=LIFE,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )


def _first(table: tuple[tuple[str, str], ...], user_agent: str) -> str:
    return next((name for name, pattern in table if re.search(pattern, user_agent)), "")


def _mark(user: User) -> str:
    return salted_hmac("accounts.devices", str(user.pk), algorithm="sha256").hexdigest()[:24]


def _marks(request: HttpRequest) -> list[str]:
    try:
        found = signing.loads(request.COOKIES.get(COOKIE, ""), salt=COOKIE, max_age=LIFE)
    except signing.BadSignature:
        return []
    return [str(one) for one in found]

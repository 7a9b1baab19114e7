"""
An end for what a page asks of the database, so that a search made to be slow holds no connection for long.

Only processes that serve pages have it, from their start on (`exerati.asgi`): the worker takes the time that a month
needs, and the gateway's doors to money have limits of their own (`exerati.lib.database`).
"""

from typing import Any

from django.conf import settings
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created


def begin() -> None:
    """Limit the statements of every connection that Django makes from now on in this process."""
    connection_created.connect(_limit, dispatch_uid=__name__)


def end() -> None:
    """Limit those of later connections no more."""
    connection_created.disconnect(dispatch_uid=__name__)


def _limit(*, connection: BaseDatabaseWrapper, **_: Any) -> None:
    milliseconds = int(settings.PAGE_STATEMENT_SECONDS * 1000)
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('statement_timeout', %s, false)", [str(milliseconds)])

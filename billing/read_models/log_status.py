"""The status to filter the log of requests by, as a condition."""

from http import HTTPStatus

from django.db.models import Q


def is_error(wanted: str) -> bool:
    """Say whether a status to filter by is that of an error."""
    exact = wanted.isdecimal() and len(wanted) == 3 and int(wanted) >= HTTPStatus.BAD_REQUEST
    return exact or wanted in ("error", "4xx", "5xx")


def condition(wanted: str) -> Q:
    """Return the condition for `ok`, `error`, `4xx`, `5xx` or an exact status; all for anything else."""
    if wanted.isdecimal() and len(wanted) == 3:
        return Q(status=int(wanted))
    return {
        "ok": Q(status__lt=400),
        "error": Q(status__gte=400),
        "4xx": Q(status__gte=400, status__lt=500),
        "5xx": Q(status__gte=500),
    }.get(wanted, Q())

"""Answers whether this process lives (`/healthz`) and whether it can work (`/readyz`)."""

import django.db
import redis
from django.conf import settings
from django.db import connection
from django.http import HttpRequest, HttpResponse, JsonResponse

ANSWER_SECONDS = 2.0


def healthz(request: HttpRequest) -> HttpResponse:
    """Say that the process lives; it needs nothing else to do so."""
    return HttpResponse("ok\n", content_type="text/plain")


def readyz(request: HttpRequest) -> JsonResponse:
    """Say what works of the database and Redis; 503 unless both do."""
    works = {"database": database_works(), "redis": redis_works()}
    return JsonResponse(
        works, status=200 if all(works.values()) else 503, headers={"Cache-Control": "no-store"}
    )


def database_works() -> bool:
    """Return whether the database answers."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except django.db.Error:
        return False
    return True


def redis_works() -> bool:
    """Return whether Redis answers."""
    try:
        with redis.Redis.from_url(
            settings.REDIS_URL, socket_timeout=ANSWER_SECONDS, socket_connect_timeout=ANSWER_SECONDS
        ) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False

"""Tell every gateway process at once that something it keeps in memory has changed."""

import logging

import redis

from exerati.lib.redis import sync_client

KEY_CHANGED = "exerati:key-changed"
CATALOG_CHANGED = "exerati:catalog-changed"

logger = logging.getLogger(__name__)


def publish(channel: str, message: str) -> None:
    """
    Send the message to all listeners.

    When Redis is away the message is lost and logged: listeners re-read within seconds by themselves, and
    money is guarded in the database.
    """
    try:
        sync_client().publish(channel, message)
    except redis.RedisError as error:
        logger.warning("broadcast on %s lost: %s", channel, error)

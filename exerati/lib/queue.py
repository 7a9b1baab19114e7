"""Start background tasks by name once the present transaction has committed."""

from typing import Any

from celery import current_app
from django.db import transaction


def enqueue(task_name: str, **arguments: Any) -> None:
    """
    Send the task after commit (at once when no transaction is open).

    Arguments are ids and plain values. Raises NotRegistered where tasks run eagerly and the name is unknown.
    """

    def send() -> None:
        if current_app.conf.task_always_eager:
            current_app.tasks[task_name].apply(kwargs=arguments, throw=True)
        else:
            current_app.send_task(task_name, kwargs=arguments)

    transaction.on_commit(send)

"""
Pushes that kill themselves: `python -m tests.billing.killed_push`, told of one try by each line of its standard input.

A fork of the tests' own process has the memory of all its threads and runs one of them, so that a lock which another
one held at that moment is never let go of. This process has one thread and no connection when it forks, and a try that
takes too long is ended by an alarm, which the answer says.
"""

import json
import os
import signal
import sys
import traceback
from typing import Any
from uuid import UUID

import django
import requests
from django.db import connection

TRY_SECONDS = 120


def main() -> None:
    """Do each try in a child, and answer with the number of the signal that ended it, 0 for none."""
    django.setup()
    print("ready", flush=True)  # noqa: T201  whoever starts it reads these lines
    for line in sys.stdin:
        child = os.fork()
        if not child:
            push_until_killed(**json.loads(line))
        _, status = os.waitpid(child, 0)
        print(os.WTERMSIG(status), flush=True)  # noqa: T201


def push_until_killed(invoice: str, *, database: str, point: int, answered: bool) -> None:
    """Push in this process, which ends at its nth request: before it is sent, or once it is answered."""
    from billing.models import Invoice
    from tests.billing.stripe_world import push

    signal.alarm(TRY_SECONDS)
    connection.settings_dict["NAME"] = database
    sent, ask = 0, requests.Session.request

    def counted(*arguments: Any, **named: Any) -> Any:
        nonlocal sent
        sent += 1
        if sent == point and not answered:
            os.kill(os.getpid(), signal.SIGKILL)
        answer = ask(*arguments, **named)
        if sent == point:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    requests.Session.request = counted  # type: ignore[method-assign]  # of this child alone
    try:
        push(Invoice.objects.get(pk=UUID(invoice)))
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(0)


if __name__ == "__main__":
    main()

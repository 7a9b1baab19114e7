"""Tasks start after the commit, or never."""

import pytest
from celery import shared_task
from celery.exceptions import NotRegistered
from django.db import transaction

from exerati.lib.queue import enqueue

done: list[int] = []


@shared_task(name="tests.note")
def note(*, number: int) -> None:
    """Remember the number."""
    done.append(number)


@pytest.fixture(autouse=True)
def nothing_done():
    done.clear()


@pytest.mark.django_db(transaction=True)
def test_task_waits_for_the_commit():
    with transaction.atomic():
        enqueue("tests.note", number=1)
        assert done == []

    assert done == [1]


@pytest.mark.django_db(transaction=True)
def test_task_of_a_transaction_that_is_rolled_back_never_starts():
    with transaction.atomic():
        enqueue("tests.note", number=1)
        transaction.set_rollback(True)

    assert done == []


@pytest.mark.django_db(transaction=True)
def test_task_starts_at_once_outside_of_transactions():
    enqueue("tests.note", number=2)

    assert done == [2]


@pytest.mark.django_db(transaction=True)
def test_unknown_task_is_an_error():
    with pytest.raises((NotRegistered, KeyError)):
        enqueue("tests.no_such_task")

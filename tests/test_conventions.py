"""Rules that hold for the whole code: tenants, task names, migrations. See also `test_authorization.py`."""

import ast
import io
import re
from pathlib import Path

import pytest
from celery import current_app
from django.core.management import call_command

ROOT = Path(__file__).resolve().parent.parent
APPS = ("accounts", "apikeys", "billing", "gateway", "exerati")
SOURCES = [
    path
    for app in APPS
    for path in sorted((ROOT / app).rglob("*.py"))
    if "migrations" not in path.parts
]
DOORS = [path for path in SOURCES if path.name == "api.py" or path.name.endswith("views.py")]
ENQUEUED = re.compile(r'enqueue\(\s*"([^"]+)"')


def relative(path):
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", DOORS, ids=relative)
def test_views_and_endpoints_reach_rows_through_the_organization_alone(path):
    managers = [
        f"{relative(path)}:{node.lineno}"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in ("objects", "_default_manager")
    ]

    assert managers == []


def test_there_are_views_to_check():
    assert {path.relative_to(ROOT).parts[0] for path in DOORS} >= {
        "accounts",
        "apikeys",
        "billing",
        "gateway",
    }


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_every_task_that_is_enqueued_exists(path):
    current_app.loader.import_default_modules()

    unknown = set(ENQUEUED.findall(path.read_text())) - set(current_app.tasks)

    assert unknown == set()


def test_every_scheduled_task_exists():
    current_app.loader.import_default_modules()

    scheduled = {entry["task"] for entry in current_app.conf.beat_schedule.values()}

    assert scheduled <= set(current_app.tasks)


@pytest.mark.django_db
def test_no_migration_is_missing():
    call_command("makemigrations", "--check", "--dry-run", stdout=io.StringIO())

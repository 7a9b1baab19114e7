"""The SQL functions of admission and settlement, as files that migrations load."""

from pathlib import Path

from django.db.migrations import RunSQL

FUNCTIONS = ("periods", "budgets", "reserve", "settle", "true_up", "extend", "days", "rollups")
# A fresh database gets today's functions before the tables and columns that later migrations add.
LATER_TABLES = "SET LOCAL check_function_bodies = off;\n"


def load(name: str) -> RunSQL:
    """Return the operation that runs `<name>.sql` of this folder; function files may be loaded again."""
    text = (Path(__file__).parent / f"{name}.sql").read_text()
    # One statement in a list, so that psycopg sends the file as it is instead of looking for parameters.
    return RunSQL([LATER_TABLES + text], reverse_sql=RunSQL.noop)

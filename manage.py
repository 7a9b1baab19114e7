#!/usr/bin/env python3
"""Exerati's command line: sees to the project's own environment, then runs the command inside it."""

import importlib
import os
import runpy
import sys

ROOT = os.path.dirname(os.path.abspath(__file__))

# These start before Django: settings name servers which `up` and `test` have yet to start.
BEFORE_DJANGO = ("up", "down", "status", "reset", "logs", "test", "check_all")


def main():
    """Run the command named on the command line."""
    if sys.version_info < (3, 6):
        sys.exit("Exerati needs Python 3.11 or newer: start it as `python3 manage.py`.")
    # By its path: to import it as a part of the package takes Celery, which may not be installed yet.
    bootstrap = runpy.run_path(os.path.join(ROOT, "exerati", "bootstrap.py"))
    bootstrap["enter_environment"](sys.argv)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "exerati.settings.base")
    command = sys.argv[1] if len(sys.argv) > 1 else ""
    if command in BEFORE_DJANGO:
        module = importlib.import_module("exerati.management.commands." + command)
        module.Command().run_from_argv(sys.argv)
    else:
        from django.core.management import execute_from_command_line

        execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()

"""The settings of a gateway process that a test starts: those of the suite, and what EXERATI_TEST_SETTINGS says."""

import json
import os
import threading
import time

from exerati.settings.test import *  # noqa: F403  the point of this file is to start from all of them

globals().update(json.loads(os.environ.get("EXERATI_TEST_SETTINGS", "{}")))


def _end_with(parent: int) -> None:
    """End this process when the one that started it is gone, killed perhaps, so that none is left running."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


if starter := os.environ.get("EXERATI_TEST_STARTER"):
    threading.Thread(target=_end_with, args=(int(starter),), daemon=True).start()

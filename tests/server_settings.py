"""The settings of a gateway process that a test starts: those of the suite, and what EXERATI_TEST_SETTINGS says."""

import json
import os

from exerati.settings.test import *  # noqa: F403  the point of this file is to start from all of them

globals().update(json.loads(os.environ.get("EXERATI_TEST_SETTINGS", "{}")))

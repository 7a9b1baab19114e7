"""The model that first calls name: in the greeting of `up`, on the landing page, after a key was made."""

from typing import Final

# Both answer on any installation: the sandbox needs no provider, and test keys simulate every model.
EXAMPLE_MODELS: Final = {"live": "sandbox/echo", "test": "gpt-4o-mini"}

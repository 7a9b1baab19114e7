"""Simon Willison's `llm`, as its command is configured: extra-openai-models.yaml."""

import os
import pathlib
import subprocess
import sys

from scenario import *

folder = pathlib.Path(os.environ["HOME"]) / "llm"
folder.mkdir(exist_ok=True)
models = folder / "extra-openai-models.yaml"
models.write_text(
    f"- model_id: mine\n  model_name: {MODEL}\n  api_key_name: exerati\n"
    f"  api_base: {BASE_URL}\n  supports_schema: true\n"
)


def say(*options, key=KEY):
    command = [
        sys.executable,
        "-m",
        "llm",
        "prompt",
        "-m",
        "mine",
        "--key",
        key,
        *options,
        QUESTION,
    ]
    environment = {**os.environ, "LLM_USER_PATH": str(folder)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    return done.returncode, done.stdout.strip() or done.stderr


def whole():
    equal(say("--no-stream"), (0, ANSWER))


def streaming():
    equal(say(), (0, ANSWER))


def structured():
    code, text = say("--schema", json.dumps(PARAMETERS))
    equal((code, json.loads(text)), (0, {"city": "Paris"}))


def wrong_key():
    code, text = say(key=WRONG_KEY)
    equal((code, "401" in text), (1, True))


def no_credit():
    code, text = say(key=POOR_KEY)
    equal((code, "429" in text), (1, True))


run(whole, streaming, structured, wrong_key, no_credit)

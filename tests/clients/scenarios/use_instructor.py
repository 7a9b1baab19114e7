"""instructor over the `openai` client: by tools and by JSON schema."""

import instructor
from openai import OpenAI
from pydantic import BaseModel
from scenario import *


class City(BaseModel):
    name: str
    people: int


def extract(mode, **fields):
    client = instructor.from_openai(OpenAI(base_url=BASE_URL, api_key=KEY), mode=mode)
    messages = [{"role": "user", "content": QUESTION}]
    return client.chat.completions.create(
        model=MODEL, response_model=City, messages=messages, **fields
    )


def tools():
    equal(extract(instructor.Mode.TOOLS), City(name="Paris", people=21))


def structured():
    equal(extract(instructor.Mode.JSON_SCHEMA), City(name="Paris", people=21))


run(tools, structured)

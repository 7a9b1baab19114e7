"""instructor over the `openai` client: by tools and by JSON schema."""

import instructor
from openai import OpenAI
from pydantic import BaseModel
from scenario import *


class City(BaseModel):
    name: str
    people: int


# It answers with a class of its own below City.
CITY = {"name": "Paris", "people": 21}


def extract(mode, **fields):
    client = instructor.from_openai(OpenAI(base_url=BASE_URL, api_key=KEY), mode=mode)
    messages = [{"role": "user", "content": QUESTION}]
    return client.chat.completions.create(
        model=MODEL, response_model=City, messages=messages, **fields
    )


def tools():
    equal(extract(instructor.Mode.TOOLS).model_dump(), CITY)


def structured():
    equal(extract(instructor.Mode.JSON_SCHEMA).model_dump(), CITY)


run(tools, structured)

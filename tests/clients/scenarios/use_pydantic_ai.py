"""pydantic-ai: its chat model and its responses model."""

from pydantic import BaseModel
from pydantic_ai import Agent, BinaryContent
from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.openai import OpenAIProvider
from scenario import *


class City(BaseModel):
    name: str
    people: int


def chat(key=KEY, model=MODEL, kind=OpenAIChatModel):
    return kind(model, provider=OpenAIProvider(base_url=BASE_URL, api_key=key))


def whole():
    result = Agent(chat()).run_sync(QUESTION)
    equal(result.output, ANSWER)
    usage = result.usage() if callable(result.usage) else result.usage
    equal((usage.input_tokens, usage.output_tokens), TOKENS)


def streaming():
    import asyncio

    async def read():
        async with Agent(chat()).run_stream(QUESTION) as result:
            return [text async for text in result.stream_text(delta=True)]

    equal("".join(asyncio.run(read())), ANSWER)


def tools():
    agent = Agent(chat())

    @agent.tool_plain
    def get_weather(city: str) -> str:
        """Weather of a city."""
        equal(city, "Paris")
        return "21"

    equal(agent.run_sync(WEATHER).output, WEATHER_ANSWER)


def structured():
    equal(Agent(chat(), output_type=City).run_sync(QUESTION).output, City(name="Paris", people=21))


def vision():
    import base64

    picture = BinaryContent(base64.b64decode(PNG), media_type="image/png")
    equal(Agent(chat()).run_sync(["What is this?", picture]).output, PICTURE_ANSWER)


def responses():
    agent = Agent(chat(kind=OpenAIResponsesModel), output_type=City)
    equal(agent.run_sync(QUESTION).output, City(name="Paris", people=21))


def wrong_key():
    call = lambda: Agent(chat(key=WRONG_KEY)).run_sync(QUESTION)  # noqa: E731
    raises(ModelHTTPError, call, status_code=401)


def no_credit():
    call = lambda: Agent(chat(key=POOR_KEY)).run_sync(QUESTION)  # noqa: E731
    raises(ModelHTTPError, call, status_code=429)


def no_model():
    call = lambda: Agent(chat(model=NO_MODEL)).run_sync(QUESTION)  # noqa: E731
    raises(ModelHTTPError, call, status_code=404)


def retries():
    equal(Agent(chat(model=BUSY_MODEL)).run_sync(QUESTION).output, ANSWER)


run(whole, streaming, tools, structured, vision, responses)
run(wrong_key, no_credit, no_model, retries)

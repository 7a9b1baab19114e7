"""OpenAI's agents SDK, over the Responses API."""

import asyncio

import openai
from agents import Agent, RunConfig, Runner, function_tool, set_tracing_disabled
from agents.models.openai_provider import OpenAIProvider
from pydantic import BaseModel
from scenario import *

set_tracing_disabled(True)
loop = asyncio.new_event_loop()  # one for all, since the clients of the SDK are shared


class City(BaseModel):
    name: str
    people: int


@function_tool
def get_weather(city: str) -> str:
    """Weather of a city."""
    equal(city, "Paris")
    return "21"


def play(text=QUESTION, *, key=KEY, model=MODEL, **fields):
    provider = OpenAIProvider(base_url=BASE_URL, api_key=key)
    agent = Agent(name="helper", model=model, **fields)
    runs = Runner.run(agent, text, run_config=RunConfig(model_provider=provider))
    return loop.run_until_complete(runs)


def whole():
    equal(play().final_output, ANSWER)


def streaming():
    async def read():
        provider = OpenAIProvider(base_url=BASE_URL, api_key=KEY)
        agent = Agent(name="helper", model=MODEL)
        result = Runner.run_streamed(agent, QUESTION, run_config=RunConfig(model_provider=provider))
        return [
            event.data.delta
            async for event in result.stream_events()
            if event.type == "raw_response_event"
            and event.data.type == "response.output_text.delta"
        ]

    equal("".join(loop.run_until_complete(read())), ANSWER)


def tools():
    equal(play(WEATHER, tools=[get_weather]).final_output, WEATHER_ANSWER)


def structured():
    equal(play(output_type=City).final_output, City(name="Paris", people=21))


def vision():
    picture = {"type": "input_image", "image_url": PICTURE, "detail": "auto"}
    asked = [{"role": "user", "content": [picture]}]
    equal(play(asked).final_output, PICTURE_ANSWER)


def wrong_key():
    raises(openai.AuthenticationError, lambda: play(key=WRONG_KEY))


def no_credit():
    raises(openai.RateLimitError, lambda: play(key=POOR_KEY), code="insufficient_quota")


def no_model():
    raises(openai.NotFoundError, lambda: play(model=NO_MODEL))


def retries():
    equal(play(model=BUSY_MODEL).final_output, ANSWER)


run(whole, streaming, tools, structured, vision)
run(wrong_key, no_credit, no_model, retries)

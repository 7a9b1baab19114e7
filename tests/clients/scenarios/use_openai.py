"""The official `openai` client, chat completions and embeddings."""

import openai
from openai import OpenAI
from pydantic import BaseModel
from scenario import *

client = OpenAI(base_url=BASE_URL, api_key=KEY)
TOOL = {"type": "function", "function": {"name": "get_weather", "parameters": PARAMETERS}}


class City(BaseModel):
    name: str
    people: int


def ask(text=QUESTION, *, by=client, model=MODEL, **fields):
    messages = [{"role": "user", "content": text}]
    return by.chat.completions.create(model=model, messages=messages, **fields)


def whole():
    answer = ask()
    equal(answer.choices[0].message.content, ANSWER)
    equal((answer.usage.prompt_tokens, answer.usage.completion_tokens), TOKENS)


def streaming():
    chunks = list(ask(stream=True, stream_options={"include_usage": True}))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    equal(text, ANSWER)
    equal(chunks[-1].usage.completion_tokens, 4)


def tools():
    asked = {"role": "user", "content": WEATHER}
    with client.chat.completions.stream(model=MODEL, messages=[asked], tools=[TOOL]) as stream:
        message = stream.get_final_completion().choices[0].message
    equal(message.tool_calls[0].function.name, "get_weather")
    result = {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "21"}
    messages = [asked, message.model_dump(exclude_none=True), result]
    answer = client.chat.completions.create(model=MODEL, messages=messages, tools=[TOOL])
    equal(answer.choices[0].message.content, WEATHER_ANSWER)


def structured():
    messages = [{"role": "user", "content": QUESTION}]
    answer = client.chat.completions.parse(model=MODEL, messages=messages, response_format=City)
    equal(answer.choices[0].message.parsed, City(name="Paris", people=21))


def vision():
    picture = {"type": "image_url", "image_url": {"url": PICTURE}}
    answer = ask([{"type": "text", "text": "What is this?"}, picture])
    equal(answer.choices[0].message.content, PICTURE_ANSWER)


def embeddings():
    answer = client.embeddings.create(model=EMBEDDING_MODEL, input=["a", "b"])
    equal([item.embedding for item in answer.data], [[1.0, 0.0]] * 2)


def responses():
    answer = client.responses.create(model=MODEL, input=QUESTION)
    equal(answer.output_text, ANSWER)
    with client.responses.stream(model=MODEL, input=QUESTION) as stream:
        equal(stream.get_final_response().output_text, ANSWER)


def wrong_key():
    by = client.with_options(api_key=WRONG_KEY)
    raises(openai.AuthenticationError, lambda: ask(by=by), code="invalid_api_key")


def no_credit():
    by = client.with_options(api_key=POOR_KEY)
    raises(openai.RateLimitError, lambda: ask(by=by), code="insufficient_quota")


def no_model():
    raises(openai.NotFoundError, lambda: ask(model=NO_MODEL), code="model_not_found")


def retries():
    equal(ask(model=BUSY_MODEL).choices[0].message.content, ANSWER)


run(whole, streaming, tools, structured, vision, embeddings, responses)
run(wrong_key, no_credit, no_model, retries)

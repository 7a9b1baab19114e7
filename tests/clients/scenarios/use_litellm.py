"""litellm as a client: completion() and embedding()."""

import os

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # it would fetch prices from elsewhere

import litellm
from scenario import *

TOOL = {"type": "function", "function": {"name": "get_weather", "parameters": PARAMETERS}}


def ask(text=QUESTION, *, key=KEY, model=MODEL, **fields):
    messages = fields.pop("messages", [{"role": "user", "content": text}])
    return litellm.completion(
        model=f"openai/{model}", api_base=BASE_URL, api_key=key, messages=messages, **fields
    )


def whole():
    answer = ask()
    equal(answer.choices[0].message.content, ANSWER)
    equal((answer.usage.prompt_tokens, answer.usage.completion_tokens), TOKENS)


def streaming():
    equal("".join(chunk.choices[0].delta.content or "" for chunk in ask(stream=True)), ANSWER)


def tools():
    message = ask(WEATHER, tools=[TOOL]).choices[0].message
    result = {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "21"}
    messages = [{"role": "user", "content": WEATHER}, message.model_dump(), result]
    answer = ask(messages=messages, tools=[TOOL])
    equal(answer.choices[0].message.content, WEATHER_ANSWER)


def structured():
    schema = {"name": "place", "schema": PARAMETERS, "strict": True}
    answer = ask(response_format={"type": "json_schema", "json_schema": schema})
    equal(json.loads(answer.choices[0].message.content), {"city": "Paris"})


def vision():
    picture = {"type": "image_url", "image_url": {"url": PICTURE}}
    equal(ask([picture]).choices[0].message.content, PICTURE_ANSWER)


def embeddings():
    model = f"openai/{EMBEDDING_MODEL}"
    answer = litellm.embedding(model=model, api_base=BASE_URL, api_key=KEY, input=["a", "b"])
    equal([item["embedding"] for item in answer.data], [[1.0, 0.0]] * 2)


def wrong_key():
    raises(litellm.AuthenticationError, lambda: ask(key=WRONG_KEY))


def no_credit():
    raises(litellm.RateLimitError, lambda: ask(key=POOR_KEY))


def no_model():
    raises(litellm.NotFoundError, lambda: ask(model=NO_MODEL))


def retries():
    equal(ask(model=BUSY_MODEL, max_retries=2).choices[0].message.content, ANSWER)


run(whole, streaming, tools, structured, vision, embeddings)
run(wrong_key, no_credit, no_model, retries)

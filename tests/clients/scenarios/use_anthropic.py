"""The official `anthropic` client, messages."""

import anthropic
from anthropic import Anthropic
from scenario import *

client = Anthropic(base_url=ROOT_URL, api_key=KEY)
TOOL = {"name": "get_weather", "description": "Weather", "input_schema": PARAMETERS}


def ask(text=QUESTION, *, by=client, model=MODEL, **fields):
    messages = [{"role": "user", "content": text}]
    return by.messages.create(model=model, max_tokens=50, messages=messages, **fields)


def whole():
    message = ask()
    equal(message.content[0].text, ANSWER)
    equal((message.usage.input_tokens, message.usage.output_tokens), TOKENS)


def streaming():
    messages = [{"role": "user", "content": QUESTION}]
    with client.messages.stream(model=MODEL, max_tokens=50, messages=messages) as stream:
        equal("".join(stream.text_stream), ANSWER)
        equal(stream.get_final_message().usage.output_tokens, 4)


def tools():
    asked = {"role": "user", "content": WEATHER}
    with client.messages.stream(
        model=MODEL, max_tokens=50, messages=[asked], tools=[TOOL]
    ) as stream:
        message = stream.get_final_message()
    [call] = [block for block in message.content if block.type == "tool_use"]
    equal((call.name, call.input), ("get_weather", {"city": "Paris"}))
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "21"}
    said = {"role": "assistant", "content": [block.to_dict() for block in message.content]}
    messages = [asked, said, {"role": "user", "content": [result]}]
    answer = client.messages.create(model=MODEL, max_tokens=50, messages=messages, tools=[TOOL])
    equal(answer.content[0].text, WEATHER_ANSWER)


def structured():
    chosen = {"type": "tool", "name": "get_weather"}
    equal(ask(tools=[TOOL], tool_choice=chosen).content[0].input, {"city": "Paris"})


def vision():
    source = {"type": "base64", "media_type": "image/png", "data": PNG}
    equal(ask([{"type": "image", "source": source}]).content[0].text, PICTURE_ANSWER)


def count_tokens():
    messages = [{"role": "user", "content": QUESTION}]
    equal(client.messages.count_tokens(model=MODEL, messages=messages).input_tokens > 0, True)


def wrong_key():
    by = client.with_options(api_key=WRONG_KEY)
    raises(anthropic.AuthenticationError, lambda: ask(by=by), status_code=401)


def no_credit():
    by = client.with_options(api_key=POOR_KEY)
    error = raises(anthropic.RateLimitError, lambda: ask(by=by), status_code=429)
    equal(error.body["error"]["code"], "insufficient_quota")


def no_model():
    raises(anthropic.NotFoundError, lambda: ask(model=NO_MODEL), status_code=404)


def retries():
    equal(ask(model=BUSY_MODEL).content[0].text, ANSWER)


run(whole, streaming, tools, structured, vision, count_tokens)
run(wrong_key, no_credit, no_model, retries)

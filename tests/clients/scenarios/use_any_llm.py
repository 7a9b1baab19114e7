"""Mozilla's any-llm, through its OpenAI provider."""

from any_llm import completion
from scenario import *


def ask(**fields):
    messages = [{"role": "user", "content": QUESTION}]
    return completion(
        model=MODEL, provider="openai", api_base=BASE_URL, api_key=KEY, messages=messages, **fields
    )


def whole():
    equal(ask().choices[0].message.content, ANSWER)


def streaming():
    chunks = ask(stream=True)
    equal("".join(c.choices[0].delta.content or "" for c in chunks if c.choices), ANSWER)


run(whole, streaming)

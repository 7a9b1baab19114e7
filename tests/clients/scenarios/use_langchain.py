"""LangChain's `langchain-openai`."""

import openai
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel
from scenario import *


class City(BaseModel):
    """A city."""

    name: str
    people: int


@tool
def get_weather(city: str) -> str:
    """Weather of a city."""
    return "21"


def chat(key=KEY, model=MODEL, **fields):
    return ChatOpenAI(base_url=BASE_URL, api_key=key, model=model, **fields)


def whole():
    message = chat().invoke(QUESTION)
    equal(message.content, ANSWER)
    equal((message.usage_metadata["input_tokens"], message.usage_metadata["output_tokens"]), TOKENS)


def streaming():
    equal("".join(chunk.content for chunk in chat().stream(QUESTION)), ANSWER)


def tools():
    asked = HumanMessage(WEATHER)
    message = chat().bind_tools([get_weather], tool_choice="any").invoke([asked])
    [call] = message.tool_calls
    equal((call["name"], call["args"]), ("get_weather", {"city": "Paris"}))
    result = ToolMessage("21", tool_call_id=call["id"])
    answer = chat().bind_tools([get_weather]).invoke([asked, message, result])
    equal(answer.content, WEATHER_ANSWER)


def structured():
    for method in ("json_schema", "function_calling"):
        city = chat().with_structured_output(City, method=method).invoke(QUESTION)
        equal(city, City(name="Paris", people=21))


def vision():
    picture = {"type": "image_url", "image_url": {"url": PICTURE}}
    parts = [{"type": "text", "text": "What is this?"}, picture]
    equal(chat().invoke([HumanMessage(parts)]).content, PICTURE_ANSWER)


def embeddings():
    embedder = OpenAIEmbeddings(
        base_url=BASE_URL, api_key=KEY, model=EMBEDDING_MODEL, check_embedding_ctx_length=False
    )
    equal(embedder.embed_documents(["a", "b"]), [[1.0, 0.0]] * 2)


def responses():
    equal(chat(use_responses_api=True).invoke(QUESTION).text, ANSWER)


def wrong_key():
    raises(openai.AuthenticationError, lambda: chat(key=WRONG_KEY).invoke(QUESTION))


def no_credit():
    call = lambda: chat(key=POOR_KEY).invoke(QUESTION)  # noqa: E731
    raises(openai.RateLimitError, call, code="insufficient_quota")


def no_model():
    raises(openai.NotFoundError, lambda: chat(model=NO_MODEL).invoke(QUESTION))


def retries():
    equal(chat(model=BUSY_MODEL).invoke(QUESTION).content, ANSWER)


run(whole, streaming, tools, structured, vision, embeddings, responses)
run(wrong_key, no_credit, no_model, retries)

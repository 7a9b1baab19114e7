"""LlamaIndex: OpenAILike and its embeddings."""

import openai
from llama_index.core.tools import FunctionTool
from llama_index.embeddings.openai_like import OpenAILikeEmbedding
from llama_index.llms.openai_like import OpenAILike
from scenario import *


def chat(key=KEY, model=MODEL):
    return OpenAILike(
        api_base=BASE_URL,
        api_key=key,
        model=model,
        is_chat_model=True,
        is_function_calling_model=True,
    )


def get_weather(city: str) -> str:
    """Weather of a city."""
    equal(city, "Paris")
    return "21"


def whole():
    equal(chat().complete(QUESTION).text, ANSWER)


def streaming():
    equal("".join(part.delta for part in chat().stream_complete(QUESTION)), ANSWER)


def tools():
    tool = FunctionTool.from_defaults(get_weather)
    equal(chat().predict_and_call([tool], user_msg=WEATHER).response, "21")


def embeddings():
    embedder = OpenAILikeEmbedding(api_base=BASE_URL, api_key=KEY, model_name=EMBEDDING_MODEL)
    equal(embedder.get_text_embedding("a"), [1.0, 0.0])


def wrong_key():
    raises(openai.AuthenticationError, lambda: chat(key=WRONG_KEY).complete(QUESTION))


def no_credit():
    call = lambda: chat(key=POOR_KEY).complete(QUESTION)  # noqa: E731
    raises(openai.RateLimitError, call, code="insufficient_quota")


def no_model():
    raises(openai.NotFoundError, lambda: chat(model=NO_MODEL).complete(QUESTION))


def retries():
    equal(chat(model=BUSY_MODEL).complete(QUESTION).text, ANSWER)


run(whole, streaming, tools, embeddings)
run(wrong_key, no_credit, no_model, retries)

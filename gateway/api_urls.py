"""The URL table of /v1, answered by `gateway.asgi`."""

import re

from django.urls import path

from gateway.api import (
    account,
    audio,
    chat,
    embeddings,
    images,
    input_tokens,
    messages,
    models,
    moderations,
    openapi,
    rerank,
)

urlpatterns = [
    path("v1/chat/completions", chat.ChatCompletions.as_view(), name="chat_completions"),
    path("v1/completions", chat.Completions.as_view(), name="completions"),
    path("v1/responses", chat.Responses.as_view(), name="responses"),
    path("v1/responses/input_tokens", input_tokens.InputTokens.as_view(), name="input_tokens"),
    path("v1/messages", messages.Messages.as_view(), name="messages"),
    path("v1/messages/count_tokens", messages.CountTokens.as_view(), name="count_tokens"),
    path("v1/embeddings", embeddings.Embeddings.as_view(), name="embeddings"),
    path("v1/images/generations", images.ImageGenerations.as_view(), name="image_generations"),
    path("v1/images/edits", images.ImageEdits.as_view(), name="image_edits"),
    path("v1/audio/speech", audio.Speech.as_view(), name="speech"),
    path("v1/audio/transcriptions", audio.Transcriptions.as_view(), name="transcriptions"),
    path("v1/audio/translations", audio.Translations.as_view(), name="translations"),
    path("v1/moderations", moderations.Moderations.as_view(), name="moderations"),
    path("v1/rerank", rerank.Rerank.as_view(), name="rerank"),
    path("v1/models", models.ModelList.as_view(), name="models"),
    path("v1/key", account.KeyDetail.as_view(), name="key"),
    path("v1/generation", account.GenerationDetail.as_view(), name="generation"),
    path("v1/openapi.json", openapi.OpenApi.as_view(), name="openapi"),
    path(
        "v1/models/<path:name>/endpoints", models.ModelEndpoints.as_view(), name="model_endpoints"
    ),
    path("v1/models/<path:name>", models.ModelDetail.as_view(), name="model"),
]

# OpenAI's routes that we do not have (yet): 501 with a link instead of a 404 that looks like a typing error.
NOT_SUPPORTED = (
    "v1/assistants",
    "v1/audio/voices",
    "v1/audio/voice_consents",
    "v1/batches",
    "v1/chatkit",
    "v1/containers",
    "v1/content_provenance_checks",
    "v1/conversations",
    "v1/evals",
    "v1/files",
    "v1/fine_tuning",
    "v1/images/variations",
    "v1/messages/batches",
    "v1/organization",
    "v1/projects",
    "v1/realtime",
    "v1/responses/",  # stored ones: by id, their input items, cancel; compact
    "v1/skills",
    "v1/threads",
    "v1/uploads",
    "v1/vector_stores",
    "v1/videos",
)
STORED_CHATS = re.compile(r"/v1/chat/completions/[^/]+(/messages)?")

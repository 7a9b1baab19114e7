"""
What `/v1/models` says to clients of Anthropic's API, which send `anthropic-version`: its fields beside ours, by pages.

The fields and parameters are those of `ModelInfo` and `ModelListParams` of its SDK 2.12 (read 2026-11).
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final, Literal

from django.http import QueryDict

from gateway import model_list
from gateway.snapshot import ModelSnapshot
from gateway.wire_checks import InvalidRequest

VERSION_HEADER: Final = b"anthropic-version"
DEFAULT_LIMIT: Final = 20
MAX_LIMIT: Final = 1_000
_MIDNIGHT: Final = "T00:00:00Z"

Lifecycle = Literal["active", "deprecated", "retired"]


def entry(model: ModelSnapshot) -> dict[str, Any]:
    """Return one model as a JSON object."""
    return {
        **model_list.entry(model),
        "type": "model",
        "display_name": model.title,
        "created_at": f"{datetime.fromtimestamp(model.created, UTC):%Y-%m-%dT%H:%M:%SZ}",
        "lifecycle": lifecycle(model),
        "deprecated_at": _moment(model.deprecated_on),
        "retires_at": _moment(model.shutdown_on),
        "line": None,
        "max_input_tokens": model.context_tokens,
        "max_tokens": model.max_output_tokens,
    }


def listing(models: Sequence[ModelSnapshot], asked: QueryDict) -> dict[str, Any]:
    """Return the page of the models that the address asks for. Raises InvalidRequest."""
    if stages := asked.getlist("lifecycle") + asked.getlist("lifecycle[]"):
        models = [model for model in models if lifecycle(model) in stages]
    limit, names = _limit(asked.get("limit")), [model.name for model in models]
    if before := asked.get("before_id"):
        end = _place(names, before, param="before_id")
        start = max(end - limit, 0)
        has_more = start > 0
    else:
        after = asked.get("after_id")
        start = _place(names, after, param="after_id") + 1 if after else 0
        end = start + limit
        has_more = end < len(models)
    page = models[start:end]
    return {
        "object": "list",
        "data": [entry(model) for model in page],
        "has_more": has_more,
        "first_id": page[0].name if page else None,
        "last_id": page[-1].name if page else None,
    }


def lifecycle(model: ModelSnapshot) -> Lifecycle:
    """Return how far the model is from its end today; the days are ISO texts, which sort as days do."""
    today = datetime.now(UTC).date().isoformat()
    if model.shutdown_on and model.shutdown_on <= today:
        return "retired"
    return "deprecated" if model.deprecated_on and model.deprecated_on <= today else "active"


def _limit(text: str | None) -> int:
    if text is None:
        return DEFAULT_LIMIT
    if not re.fullmatch("[0-9]{1,4}", text) or not 1 <= int(text) <= MAX_LIMIT:
        message = f"Invalid 'limit': expected an integer from 1 to {MAX_LIMIT}."
        raise InvalidRequest(message, param="limit", code="invalid_value")
    return int(text)


def _place(names: list[str], name: str, *, param: str) -> int:
    try:
        return names.index(name)
    except ValueError:
        message = f"Invalid '{param}': no model of this list has that id."
        raise InvalidRequest(message, param=param, code="invalid_value") from None


def _moment(day: str | None) -> str | None:
    return None if day is None else day + _MIDNIGHT

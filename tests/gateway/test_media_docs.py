"""The pages of images, audio, moderation and reranking: every Python example runs as it stands, with a test key."""

import re
import runpy

import pytest

from apikeys.own_key import VARIABLE
from gateway.documentation import docs_pages, docs_values
from tests import factories
from tests.gateway.media_shop import sell

PAGES = ("images", "audio", "moderations", "rerank")
MODELS = {
    "gpt-image-2": (
        "image",
        {"input_microusd_per_mtok": 5_000_000, "output_microusd_per_mtok": 30_000_000},
    ),
    "tts-1": ("speech", {"character_nanousd": 15_000}),
    "whisper-1": ("transcription", {"second_nanousd": 100_000}),
    "omni-moderation-latest": ("moderation", {"call_nanousd": 0}),
    "rerank-v3.5": ("rerank", {"search_nanousd": 2_000_000}),
}


@pytest.mark.parametrize("slug", PAGES)
def test_python_examples_run_one_after_the_other(shop, slug, tmp_path, monkeypatch, capsys):
    text = docs_pages.page(slug, values=docs_values.values()).markdown
    address = docs_values.values()["base_url"]
    examples = re.findall(r"```python[^\n]*\n(.*?)```", text, re.DOTALL)
    for name, (kind, rates) in MODELS.items():
        if f'"{name}"' in text:
            ours = sell(shop, kind, **rates)
            examples = [one.replace(f'"{name}"', f'"{ours}"') for one in examples]
    monkeypatch.chdir(tmp_path)

    for example in examples:
        secret = factories.make_api_key(shop.organization, mode="test").secret
        monkeypatch.setenv(VARIABLE, secret)
        code = example.replace(address, shop.gateway.base_url)
        (tmp_path / "example.py").write_text(code)
        runpy.run_path(str(tmp_path / "example.py"))

    assert examples
    assert shop.upstream.calls == []
    printed = capsys.readouterr().out
    if slug == "rerank":
        assert printed == "1\n"

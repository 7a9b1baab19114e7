"""Every sample of every page of the documentation runs as it stands, against a gateway, with a test key."""

import html
import re
import subprocess

import pytest
from anthropic import Anthropic
from django.test import Client
from openai import OpenAI, Stream

from apikeys.own_key import VARIABLE
from gateway.documentation import docs_pages, docs_values
from tests import factories
from tests.clients import environments
from tests.journeys.docs_desk import Desk, load_catalog

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

SAMPLE = re.compile(r"^```(\w+)[ ]?([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# Libraries that tests/clients installs and runs each in an environment of its own; here they must compile.
ELSEWHERE = re.compile(
    r"^(?:from|import) (langchain_openai|llama_index|pydantic_ai|agents|litellm)", re.M
)
# A model of each kind, whose page shows how to call it.
EACH_KIND = {
    "chat": "gpt-4o",
    "embedding": "text-embedding-3-small",
    "image": "gpt-image-2",
    "speech": "gpt-4o-mini-tts",
    "transcription": "gpt-4o-transcribe",
    "moderation": "omni-moderation-latest",
    "rerank": "rerank-v3.5",
}
PACKAGES_OF_NODE = re.compile(r'from "((?:@langchain|@ai-sdk|ai)\b[^"]*)"')


@pytest.fixture
def desk(start_servers, tmp_path, monkeypatch):
    """A folder of its own, with a gateway that has the whole catalog, and a test key."""
    load_catalog()
    key = factories.make_api_key(mode="test")
    [gateway] = start_servers(1)
    answer = gateway.chat(key.secret, model="gpt-4")
    assert answer.status == 200, answer.body
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(VARIABLE, key.secret)
    return Desk(
        tmp_path,
        gateway,
        secret=key.secret,
        management=factories.make_api_key(key.key.organization, endpoints=["management"]).secret,
        request_id=answer.headers["x-request-id"],
    )


def samples(slug):
    """Return (language, label, code) of each sample of a page."""
    text = docs_pages.page(slug, values=docs_values.values()).markdown
    return [(one[1], one[2].strip(), one[3]) for one in SAMPLE.finditer(text)]


def test_every_sample_runs(desk, capsys):
    front = first_call("/", desk)
    told("front page", desk.run_shell, front["curl"])
    for kind, model in EACH_KIND.items():
        call = first_call(f"/models/{model}/", desk)
        told(f"model page of {kind}", desk.run_shell, call["curl"])
        told(f"model page of {kind}", exec, call["Python"], {"__name__": "__main__"})
    told("front page", exec, front["Python"], {"__name__": "__main__"})
    counts = {"curl": 0, "python": 0}
    for slug in docs_pages.SLUGS:
        shared = {"__name__": "__main__"}
        for number, (language, label, code) in enumerate(samples(slug)):
            where = f"{slug} {number} {label or language}"
            if label == "curl" or (language == "bash" and code.startswith("curl ")):
                counts["curl"] += 1
                told(where, desk.run_shell, desk.ready(code))
            elif language == "bash":
                subprocess.run(["bash", "-n", "-c", code], check=True)
            elif language == "python":
                compiled = compile(desk.ready(code), where, "exec")
                if not ELSEWHERE.search(code):
                    counts["python"] += 1
                    told(where, exec, compiled, shared)
        for value in shared.values():
            if isinstance(value, OpenAI | Anthropic | Stream):
                value.close()

    assert min(counts.values()) >= 20, counts
    assert "Paris" in capsys.readouterr().out


def test_every_sample_for_node_runs(desk):
    if not environments.is_installed("node-sdks"):
        pytest.skip(environments.not_installed("node-sdks"))
    count = 0
    for slug in docs_pages.SLUGS:
        for number, (language, _, code) in enumerate(samples(slug)):
            if language == "javascript" and not PACKAGES_OF_NODE.search(code):
                count += 1
                told(f"{slug} {number}", desk.run_node, f"{slug}-{number}", desk.ready(code))

    assert count >= 15


def first_call(path, desk):
    """Return the sample call of a page by language, ready to run."""
    page = Client().get(path).content.decode()
    block = page.partition("data-snippets")[2].partition("</pre></div></div>")[0]
    codes = re.findall(
        r'code-head"><span>(\w+)</span>.*?<code class="hl">(.*?)</code>', block, re.DOTALL
    )
    return {name: desk.ready(html.unescape(re.sub(r"<[^>]+>", "", code))) for name, code in codes}


def told(where, run, *arguments):
    """Run a sample, and say which one it was where it fails."""
    try:
        run(*arguments)
    except BaseException as error:
        error.add_note(f"sample {where}")
        raise

"""The documentation: complete, true to the code, and the same as HTML and as Markdown."""

import html
import json
import re
from pathlib import Path
from typing import get_args

import pytest
from django.conf import settings

from apikeys.own_key import NOBODYS
from billing.console import page_words
from billing.models import UsageEvent
from gateway import error_words, errors, serializers
from gateway.api_error import CODES
from gateway.dialects.responses import ResponsesDialect
from gateway.documentation import docs_changelog, docs_pages, docs_reference, docs_values
from gateway.documentation.docs_pages import SLUGS
from gateway.open_call import CutReason
from gateway.providers.base import ErrorKind
from tests import factories

ROOT = Path(__file__).resolve().parents[2]
RAISED = re.compile(r'(?:code=|ApiError\(\s*)"([a-z_]+)"')
CURL_BODY = re.compile(r"/(chat/completions|responses|embeddings) [^`]*?-d '(.*?)'\n```", re.DOTALL)
LANGUAGES = ("curl", "Python", "JavaScript")

# What the public documentation says, word for word; each must stay true and present.
PUBLISHED = {
    "introduction": ["Everything you need to integrate Exerati into your applications."],
    "authentication": [
        "All API requests require an API key passed in the Authorization header.",
        "Generate keys from your dashboard under API Keys.",
        "Authorization: Bearer sk-xxxxxxxxxxxx",
        "Keys can be scoped to specific models and have individual rate limits and budget caps.",
        "API keys are shown only once at creation. Store them securely. "
        "If lost, you'll need to generate a new key.",
    ],
    "quickstart": [
        "Get your first API response in under two minutes.",
        "Create an account, generate an API key, and make a POST request to /v1/chat/completions "
        "with your model of choice.",
        "The API is OpenAI-compatible, so existing OpenAI SDKs work with a simple",
        "Create an account at",
        "/register",
        "Dashboard → API Keys",
        "and create a new key",
        '"messages": [{"role": "user", "content": "Hello!"}]',
    ],
    "chat-completions": [
        "The chat completions endpoint (POST /v1/chat/completions) is the primary interface for "
        "generating responses.",
        "Send an array of messages with role (system, user, assistant) and content.",
        "function calling, and multi-modal inputs for vision models.",
        "The capital of France is Paris.",
        "model string Yes Model ID to use for completion",
        "messages array Yes Array of message objects",
        "temperature number No Sampling temperature (0-2). Default: 1",
        "max_tokens integer No Maximum tokens to generate",
        "stream boolean No Enable streaming responses. Default: false",
    ],
    "models": [
        "Exerati provides access to a curated catalog of AI models across text, vision, code, and "
        "audio modalities.",
        "Use GET /v1/models to list all available models with their pricing, context windows, and "
        "capabilities.",
        "Each model has a unique slug",
        "gpt-4-vision-preview",
    ],
    "embeddings": [
        "Generate vector embeddings for text using POST /v1/embeddings.",
        "Useful for semantic search, clustering, and similarity comparisons.",
        "Specify the embedding model and input text (string or array).",
        "Returns a list of embedding vectors with their dimensions.",
        "The quick brown fox jumps over the lazy dog",
    ],
}


def page(slug):
    return docs_pages.page(slug, values=docs_values.values())


def words_of(markup):
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", markup)))


def url_of(slug):
    return "/docs/" if slug == docs_pages.HOME else f"/docs/{slug}"


@pytest.mark.parametrize("slug", SLUGS)
def test_every_page_can_be_read_by_anybody(client, slug):
    answer = client.get(url_of(slug))

    assert answer.status_code == 200
    assert f"<h1>{page(slug).title}</h1>" in answer.content.decode()


@pytest.mark.parametrize("slug", SLUGS)
def test_every_page_is_there_as_markdown_with_nothing_left_to_fill_in(client, slug):
    answer = client.get(f"/docs/{slug}.md")

    text = answer.content.decode()
    assert answer["Content-Type"] == "text/markdown; charset=utf-8"
    assert text.startswith(f"# {page(slug).title}\n")
    assert "{{" not in text


def test_every_source_is_a_page():
    assert {path.stem for path in docs_pages.FOLDER.glob("*.md")} == set(SLUGS)


@pytest.mark.parametrize("url", ["/docs/nothing", "/docs/nothing.md", "/docs/..%2fsecret"])
def test_other_pages_are_not_there(client, url):
    assert client.get(url).status_code == 404


def test_the_index_for_programs_lists_every_page(client):
    text = client.get("/llms.txt").content.decode()

    links = re.findall(r"\]\(([^)]+)\)", text)
    assert links == [f"{settings.SITE_URL}/docs/{slug}.md" for slug in SLUGS]
    assert settings.API_BASE_URL in text
    assert "{{" not in text


def test_the_whole_documentation_is_one_file_for_programs(client):
    text = client.get("/llms-full.txt").content.decode()

    assert all(page(slug).markdown.strip() in text for slug in SLUGS)


@pytest.mark.parametrize(("slug", "sentences"), PUBLISHED.items())
def test_what_was_published_is_still_said(client, slug, sentences):
    words = words_of(client.get(url_of(slug)).content.decode())

    assert [sentence for sentence in sentences if sentence not in words] == []


@pytest.mark.django_db
@pytest.mark.parametrize("slug", SLUGS)
def test_every_link_between_pages_leads_somewhere(client, slug):
    links = re.findall(r"\]\(([^)#]+)(#[\w-]+)?\)", page(slug).markdown)

    for target, anchor in links:
        url = target.removeprefix(settings.SITE_URL)
        if not url.startswith("/"):
            url = url_of(url)
        if target.startswith(f"{settings.API_BASE_URL}/"):
            continue  # the gateway answers it, not the site
        answer = client.get(url)
        assert answer.status_code == 200, url
        assert not anchor or f'id="{anchor[1:]}"' in answer.content.decode()


@pytest.mark.parametrize("slug", SLUGS)
def test_every_json_sample_is_json(slug):
    for sample in re.findall(r"```json\n(.*?)```", page(slug).markdown, re.DOTALL):
        json.loads(sample)


def test_there_are_bodies_to_check():
    assert sum(len(CURL_BODY.findall(page(slug).markdown)) for slug in SLUGS) >= 6


@pytest.mark.parametrize("slug", SLUGS)
def test_every_body_of_a_curl_sample_is_accepted(slug):
    limits = serializers.ChatLimits(max_messages=10, max_tools=10)
    samples = CURL_BODY.findall(page(slug).markdown)

    for endpoint, text in samples:
        body = json.loads(text)
        if endpoint == "responses":
            body = ResponsesDialect().chat_body(body)
        call = (
            serializers.parse_embeddings(body)
            if endpoint == "embeddings"
            else serializers.parse_chat(body, limits=limits)
        )
        assert set(call.ignored) <= {"provider"}  # taken out before, as the preferences of routing


@pytest.mark.parametrize("slug", SLUGS)
def test_every_python_sample_compiles(slug):
    for sample in re.findall(r"```python \w+\n(.*?)```", page(slug).markdown, re.DOTALL):
        compile(sample, slug, "exec")


@pytest.mark.parametrize("slug", ["quickstart", "chat-completions", "streaming", "embeddings"])
def test_calls_are_shown_in_three_languages_behind_a_switch(client, slug):
    markup = client.get(url_of(slug)).content.decode()

    assert re.findall(r'type="radio"[^>]*value="(\w+)"', markup)[:3] == list(LANGUAGES)
    assert settings.API_BASE_URL in markup


# errors


def test_the_table_of_errors_has_every_code_with_its_status():
    table = page("errors").markdown

    for code, (status, _) in CODES.items():
        assert f"| `{code}` | {status} |" in table


def test_the_table_of_errors_has_every_code_that_the_gateway_raises():
    # Pages have words of their own.
    sources = [
        path for path in (ROOT / "gateway").rglob("*.py") if not path.stem.endswith("_views")
    ]

    raised = {code for path in sources for code in RAISED.findall(path.read_text())}

    assert raised - set(docs_values.ERROR_WORDS) == set()


def test_the_log_has_words_for_every_code_that_the_gateway_stores():
    kinds, cuts = set(get_args(ErrorKind)), {*get_args(CutReason), "shutdown"} - {""}
    stored = {error_words.code_of_kind(kind) for kind in kinds}
    stored |= {error_words.code_of_cut(cut) for cut in cuts}

    # A provider's 413 has a code of its own.
    assert stored | {"internal_error", "lost", "request_too_large"} == set(page_words.ERROR_WORDS)
    assert kinds == set(page_words.ATTEMPT_WORDS)
    assert all(f"`{code}`" in page("errors").markdown for code in page_words.ERROR_WORDS)


# true to the code


def test_the_settlement_policy_names_every_basis():
    text = page("budgets").markdown

    assert all(f"**{basis}**" in text for basis in UsageEvent.Basis.values)


def test_raw_html_in_a_source_is_shown_as_text(tmp_path, monkeypatch):
    source = "# Title\n\nLead.\n\n<script>alert(1)</script>\n\n[x](javascript:alert(1))\n"
    (tmp_path / "errors.md").write_text(source)
    monkeypatch.setattr(docs_pages, "FOLDER", tmp_path)

    markup = docs_pages.page("errors", values={}).html

    assert "<script" not in markup
    assert "href" not in markup


def test_a_changed_source_is_shown_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(docs_pages, "FOLDER", tmp_path)
    source = tmp_path / "limits.md"

    source.write_text("# A\n\nLead.\n\nold {{n}}\n")
    before = docs_pages.page("limits", values={"n": "1"})
    source.write_text("# A\n\nLead.\n\nnew {{n}}\n")
    after = docs_pages.page("limits", values={"n": "2"})

    assert "old 1" in before.html
    assert "new 2" in after.html


# search, feed, reference, the reader's key


def hits(html):
    """Return the addresses that a search found."""
    return re.findall(r'<li>\s*<a href="([^"]+)">', html.partition("docs-hits")[2])


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("idempotency", "/docs/retries"),
        ("insufficient_quota", "/docs/errors#insufficient_quota"),
        ("structured output", "/docs/structured-output"),
        ("OpenRouter", "/docs/migration#from-openrouter"),
        ("litellm budget", "/docs/migration#from-litellm"),
    ],
)
def test_search_finds_the_section(client, query, first):
    html = client.get("/docs/search", {"q": query}).content.decode()

    assert first in hits(html)[:3]


def test_search_leads_to_anchors_that_are_there(client):
    html = client.get("/docs/search", {"q": "the"}).content.decode()

    urls = [url for url in hits(html) if "#" in url]
    assert len(urls) > 10
    for url in urls:
        address, anchor = url.split("#")
        assert f'id="{anchor}"' in client.get(address, follow=True).content.decode(), url


def test_search_without_a_hit_says_what_to_do(client):
    assert "Nothing with these words" in words_of(
        client.get("/docs/search?q=zzzz").content.decode()
    )


def test_search_shows_what_was_typed_as_text(client):
    html = client.get("/docs/search", {"q": '"><script>alert(1)</script>'}).content.decode()

    assert "<script>alert" not in html


def test_the_changelog_is_a_page_and_a_feed(client):
    feed = client.get("/docs/changelog.rss").content.decode()
    entries = list(docs_changelog.entries())

    assert feed.count("<item>") == len(entries) > 10
    assert len({entry.ident for entry in entries}) == len(entries)
    assert all(len(entry.title) <= 100 for entry in entries)
    assert "docs/site" not in page("changelog").markdown


def test_the_reference_has_every_address_and_field():
    text = page("api-reference").markdown
    document = json.loads(docs_reference.PATH.read_text())

    for path, item in document["paths"].items():
        for method in set(item) & set(docs_reference.METHODS):
            assert f"`{method.upper()} /v1{path}`" in text
    for name in document["components"]["schemas"]["ChatRequest"]["properties"]:
        assert f"| `{name}` |" in text


@pytest.mark.django_db
@pytest.mark.parametrize(
    "path", ["/docs/quickstart", "/docs/streaming", "/", "/models/one/", "/models/of-vectors/"]
)
def test_one_line_sets_the_key_with_what_the_readers_own_begins_with(
    alice_client, client, acme_test_key, path
):
    factories.make_model("one")
    factories.make_model("of-vectors", kind="embedding")
    shown, strangers = (
        html.unescape(re.sub(r"<[^>]+>", "", one.get(path).content.decode()))
        for one in (alice_client, client)
    )

    assert f'export EXERATI_API_KEY="{acme_test_key.key.key_prefix}…"' in shown
    assert shown.count(acme_test_key.key.key_prefix) == 1
    assert NOBODYS not in shown
    assert acme_test_key.secret not in shown
    assert f'export EXERATI_API_KEY="{NOBODYS}"' in strangers
    assert strangers.count(NOBODYS) == 1


def test_every_sample_reads_the_key_from_the_environment():
    """No sample holds a key, or what stands for one, but for the lines that set the variable."""
    folders = (docs_pages.FOLDER, ROOT / "templates", ROOT / "static" / "js")
    texts = {
        path: path.read_text()
        for folder in folders
        for path in folder.rglob("*")
        if path.suffix in (".md", ".html", ".js")
    }
    odd = re.compile(
        r"""Bearer (?!\$EXERATI_|\{os\.environ|\$\{process\.env)[s$]\S*|api_?[kK]ey ?[:=] ?["'][^"']*["']"""
    )
    found = {(path.name, one) for path, text in texts.items() for one in odd.findall(text)}

    assert found == {("authentication.md", "Bearer sk-xxxxxxxxxxxx")}
    assert sum("EXERATI_API_KEY" in text for text in texts.values()) > 20


@pytest.mark.parametrize("code", CODES)
def test_every_error_leads_to_its_line(client, code):
    body = errors.body(errors.ApiError(code, "x"), request_id="req_x")
    url, anchor = body["error"]["docs_url"].removeprefix(settings.SITE_URL).split("#")

    assert f'<tr id="{anchor}">' in page(url.removeprefix("/docs/")).html

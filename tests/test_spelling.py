"""
Every word of the pages, the mails and the sentences in the code is in `tests/gateway/words.txt`, as those of the
documentation are: a slip shows up as a new word.
"""

import ast
import html
import re

from exerati.settings.env import BASE_DIR
from tests.gateway.test_docs_spelling import KNOWN, WORD

HIDDEN = re.compile(
    r"\{#.*?#\}|\{% comment.*?endcomment %\}|\{% code .*?endcode %\}"
    r"|<(script|style|code|pre|kbd)\b.*?</\1>|\{\{.*?\}\}|<[^>]+>",
    re.DOTALL,
)
TAG = re.compile(r"\{%.*?%\}", re.DOTALL)
SHOWN_BY_TAG = re.compile(r'"([A-Z][^"]*)"')
APPS = ("exerati", "accounts", "apikeys", "billing", "gateway")
SENTENCE = re.compile(r"[A-Z][a-z]* [a-z]")
NO_PROSE = re.compile(r"`[^`]*`|'[^']*[_/.{][^']*'|\S*[_/=]\S*|\{[^}]*\}")
SQL = re.compile(r"SELECT|INSERT|\(\?|\\")


def shown(template):
    """Return the text of a template, and what its tags show."""
    text = HIDDEN.sub(" ", template)
    tags = " ".join(sentence for tag in TAG.findall(text) for sentence in SHOWN_BY_TAG.findall(tag))
    return html.unescape(f"{TAG.sub(' ', text)} {tags}")


def said(source):
    """Return the sentences of a module that are no docstrings."""
    tree = ast.parse(source)
    silent = {
        id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)
    }  # docstrings, as statements
    return " ".join(
        NO_PROSE.sub(" ", node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and id(node) not in silent
        and SENTENCE.match(node.value.strip())
        and not SQL.search(node.value)
    )


def unknown(text):
    words = {word.replace("\u2019", "'").lower() for word in WORD.findall(text)}
    return {word for word in words - KNOWN if len(word) > 1 and word.removesuffix("s") not in KNOWN}


def test_every_word_of_pages_and_mails_is_known():
    paths = [path for path in (BASE_DIR / "templates").rglob("*.*") if path.is_file()]

    found = {path.name: unknown(shown(path.read_text())) for path in paths}

    assert len(paths) > 100
    assert {name: words for name, words in found.items() if words} == {}


def test_every_word_that_the_code_says_is_known():
    paths = [
        path
        for app in APPS
        for path in (BASE_DIR / app).rglob("*.py")
        if not {"migrations", "providers"} & set(path.parts)
    ]

    found = {path.name: unknown(said(path.read_text())) for path in paths}

    assert {name: words for name, words in found.items() if words} == {}


def test_a_slip_would_be_found():
    template = '<p class="recieve">{# adress #}You <code>recv</code>{% button "Add adres" %}</p>'

    assert unknown(shown(template)) == {"adres"}
    assert unknown(said('"""Docstrings recieve nothing."""\nx = "You recieved it."')) == {
        "recieved"
    }

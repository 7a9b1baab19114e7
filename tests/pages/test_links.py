"""The check of links notices what is broken, and nothing else."""

import pytest

from tests.pages.links import Links

STATUSES = {"/models/gpt-4o/": 200, "/models/nothing/": 404, "/docs/quickstart": 200}


@pytest.fixture
def links():
    return Links(lambda address: STATUSES.get(address, 405))


@pytest.mark.parametrize(
    ("markup", "found"),
    [
        ('<a href="/models/gpt-4o/">', []),
        ('<a href="/models/nothing/">', ["links to /models/nothing/, which is not there"]),
        ('<a href="/no-such-page/">', ["links to /no-such-page/, which is not there"]),
        ('<a href="#here"><p id="here">', []),
        ('<a href="#there">', ["has no place 'there', to which it links"]),
        ('<link href="/static/css/tokens.css">', []),
        (
            '<script src="/static/js/gone.js">',
            ["links to /static/js/gone.js, which is not there"],
        ),
        ('<form action="/theme">', []),
        ('<a href="/theme">', ["links to /theme, which is not there"]),
        ('<a href="https://example.com/nothing">', []),
        ('<a href="mailto:help@exerati.com">', []),
    ],
)
def test_link_is_told_where_it_leads_nowhere(links, markup, found):
    assert list(links.broken(markup, path="/docs/")) == found


def test_path_is_asked_for_once_and_so_is_a_kind_of_each_page():
    asked = []

    def ask(address):
        asked.append(address)
        return 200

    links = Links(ask)

    for page, names in (("/a/", "xy"), ("/a/", "xz"), ("/b/", "xy")):
        for name in names:
            assert not list(links.broken(f'<a href="/docs/{name}?q={page}">', path=page))

    assert asked == ["/docs/x?q=/a/", "/docs/y?q=/b/"]

"""The template tags `code` and `snippets`: highlighted source with copy buttons."""

from collections.abc import Sequence

from django.template import Context, Node, NodeList, TemplateSyntaxError
from django.template.base import FilterExpression, Parser, Token, token_kwargs
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.util import ClassNotFound

FORMATTER = HtmlFormatter(nowrap=True)
COPY = (
    '<button type="button" class="copy js-only" data-copy="" aria-label="Copy {}">'
    "<span data-copy-label>Copy</span></button>"
)


def highlighted(source: str, *, language: str) -> SafeString:
    """Return the source with Pygments' classes, escaped; an unknown language stays plain."""
    try:
        lexer = get_lexer_by_name(language, stripnl=False)
    except ClassNotFound:
        lexer = get_lexer_by_name("text", stripnl=False)
    html: str = highlight(source, lexer, FORMATTER)
    return mark_safe(html.rstrip("\n"))  # noqa: S308  Pygments escapes


def figure(source: str, *, language: str, label: str) -> SafeString:
    """Return a code block; without a label it is a single line with its button inside."""
    button = format_html(COPY, label or "code")
    block = format_html(
        '<pre tabindex="0"><code class="hl">{}</code></pre>', highlighted(source, language=language)
    )
    if not label:
        return format_html('<div class="code code-bare">{}{}</div>', block, button)
    return format_html(
        '<div class="code"><div class="code-head"><span>{}</span>{}</div>{}</div>',
        label,
        button,
        block,
    )


def switch(name: str, blocks: Sequence[tuple[str, SafeString]]) -> SafeString:
    """Return labelled code blocks behind radio buttons of that name; the first is shown."""
    switches = format_html_join(
        "",
        '<label><input type="radio" name="{}" value="{}"{}>{}</label>',
        (
            (name, label, "" if number else mark_safe(" checked"), label)
            for number, (label, _) in enumerate(blocks)
        ),
    )
    return format_html(
        '<div class="snippets" data-snippets><fieldset>'
        '<legend class="sr-only">Language</legend>{}</fieldset>{}</div>',
        switches,
        format_html_join("", "{}", ((block,) for _, block in blocks)),
    )


class CodeNode(Node):
    """Renders its body as source: nothing in it is escaped before it is highlighted."""

    def __init__(
        self, nodelist: NodeList, language: FilterExpression, label: FilterExpression | None
    ):
        self.nodelist = nodelist
        self.language = language
        self.label = label

    def label_text(self, context: Context) -> str:
        """Return the label, "" when none was given."""
        return str(self.label.resolve(context)) if self.label else ""

    def render(self, context: Context) -> SafeString:
        with context.push():
            escaping, context.autoescape = context.autoescape, False
            source = self.nodelist.render(context).strip("\n")
            context.autoescape = escaping
        language = str(self.language.resolve(context))
        return figure(source, language=language, label=self.label_text(context))


class SnippetsNode(Node):
    """Renders several code blocks behind a switch of radio buttons, so that it needs no script."""

    def __init__(self, codes: list[CodeNode], name: FilterExpression):
        self.codes = codes
        self.name = name

    def render(self, context: Context) -> SafeString:
        blocks = [(code.label_text(context), code.render(context)) for code in self.codes]
        return switch(str(self.name.resolve(context)), blocks)


def parse_code(parser: Parser, token: Token) -> CodeNode:
    """Parse `{% code "bash" label="curl" %} ... {% endcode %}`."""
    name, *bits = token.split_contents()
    if not bits:
        raise TemplateSyntaxError(f"{name} needs a language")
    options = token_kwargs(bits[1:], parser)
    nodelist = parser.parse(("endcode",))
    parser.delete_first_token()
    return CodeNode(nodelist, parser.compile_filter(bits[0]), options.get("label"))


def parse_snippets(parser: Parser, token: Token) -> SnippetsNode:
    """Parse `{% snippets "name" %}` around up to five labelled code blocks."""
    bits = token.split_contents()
    if len(bits) != 2:
        raise TemplateSyntaxError(f"{bits[0]} needs exactly one argument, the name of its switch")
    nodelist = parser.parse(("endsnippets",))
    parser.delete_first_token()
    codes = [node for node in nodelist if isinstance(node, CodeNode)]
    return SnippetsNode(codes, parser.compile_filter(bits[1]))

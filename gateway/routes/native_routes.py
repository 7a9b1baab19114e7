"""
Which routes can say all of a request in Anthropic's own format, and whether what its tools cost is priced. Pure.

What no other API has a word for binds: only routes that speak Anthropic's API are left. What others would leave out
is a preference: they serve where there is no route that loses nothing.
"""

from billing.types import Price
from gateway.provider_tools import ProviderTools
from gateway.providers.anthropic import anthropic_native
from gateway.providers.anthropic.anthropic_native import Native
from gateway.snapshot import SANDBOX, ModelSnapshot, RouteSnapshot
from gateway.wire_checks import unsupported_value

_MAKER = "anthropic"


def able(
    native: Native | None, routes: tuple[RouteSnapshot, ...], *, model: ModelSnapshot
) -> tuple[RouteSnapshot, ...]:
    """Return the routes that may serve the request. Raises InvalidRequest where none can."""
    if native is None:
        return routes
    if not native.needs:
        if not native.lost:
            return routes
        lossless = tuple(r for r in routes if anthropic_native.can_say(native, r.upstream.api))
        return lossless or routes
    found = tuple(
        route
        for route in routes
        if anthropic_native.can_say(native, route.upstream.api) or _simulates(route, model)
    )
    if not found:
        missing = [need for need in native.needs if not _is_had(need, routes)]
        need = (missing or list(native.needs))[0]
        unsupported_value(need.param, need.reason)
    return found


def check_priced(tools: ProviderTools, *, model: ModelSnapshot, price: Price | None) -> None:
    """Refuse tools of the provider's whose use has no price or no bound with this model. Raises InvalidRequest."""
    if tools.searches and (price is None or price.rates.search_nanousd is None):
        unsupported_value(
            "tools",
            f"searches of '{model.name}' have no price. Choose a model whose 'pricing' in GET /v1/models names "
            "'web_search', or search yourself.",
        )
    if tools.repeats and tools.result_tokens is None and model.context_tokens is None:
        unsupported_value(
            "tools",
            f"nothing bounds what a page may add to a prompt of '{model.name}'. Fetch it yourself.",
        )


def _is_had(need: anthropic_native.Need, routes: tuple[RouteSnapshot, ...]) -> bool:
    return any(route.upstream.api in need.apis for route in routes)


def _simulates(route: RouteSnapshot, model: ModelSnapshot) -> bool:
    """Whether the sandbox answers in the place of a model of Anthropic's, as it does for test keys."""
    return route.upstream.api == SANDBOX and model.owned_by == _MAKER

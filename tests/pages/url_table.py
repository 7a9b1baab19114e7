"""Every address of the site, from the URL table: which are pages, and which are not, with the reason."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from django.urls import URLPattern, URLResolver, get_resolver, reverse

from tests.pages.world import Arguments, Samples

# What is in the table and is no page to look at, and why.
NOT_PAGES = {
    "styleguide": "is there only with DEBUG; it is a scene",
    "account_reset_password_from_key": "wants a secret that was sent to somebody; it is a scene",
    "mfa_deactivate_totp": "is there only with an authenticator app",
    "mfa_view_recovery_codes": "is there only with an authenticator app",
    "mfa_download_recovery_codes": "is there only with an authenticator app",
    "mfa_generate_recovery_codes": "is there only with an authenticator app",
    "google_callback": "wants a code of the provider",
    "github_callback": "wants a code of the provider",
    "socialaccount_login_error": "answers 401; it is a scene",
    "socialaccount_signup": "wants an account of a provider without an address; it is a scene",
    "mfa_edit_webauthn": "wants a passkey, which is in somebody's machine",
    "mfa_remove_webauthn": "wants a passkey, which is in somebody's machine",
}
# Restyled pages of libraries, for staff, where the design system does not hold; and JSON.
NOT_OURS = ("admin:", "hijack:", "api_")


@dataclass(frozen=True, slots=True)
class Address:
    """One address: the name of its page in the URL table, and the path of one sample."""

    name: str
    path: str


class SampleMissing(Exception):
    """A page has arguments in its address for which tests/pages/world.py has no sample."""


def addresses(samples: Samples) -> Iterator[Address]:
    """Yield the sample addresses of every entry of the URL table; raises SampleMissing."""
    for name, parameters in sorted(set(_entries(get_resolver(), ""))):
        if name in NOT_PAGES or name.startswith(NOT_OURS):
            continue
        for arguments in _arguments(name, parameters, samples):
            values = dict(arguments)
            query = values.pop("?", "")
            yield Address(name, reverse(name, kwargs=values) + query)


def _arguments(name: str, parameters: Sequence[str], samples: Samples) -> Sequence[Arguments]:
    if not parameters:
        return samples.of.get(name, [{}])
    stems = [name.rsplit("_", cut)[0] for cut in range(name.count("_") + 1)]
    for stem in stems:
        found = samples.of.get(stem, ())
        if found and set(found[0]) - {"?"} == set(parameters):
            return found
    if tuple(parameters) == ("slug",) and name.startswith("dashboard:"):
        return [{"slug": samples.organization.slug}]
    raise SampleMissing(
        f"{name} takes {', '.join(parameters)}: give it a sample in tests/pages/world.py, Samples.of"
    )


def _entries(resolver: URLResolver, namespace: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield (name, names of the arguments) of every named entry."""
    yield from _walk(resolver, namespace, ())


def _walk(
    resolver: URLResolver, namespace: str, outer: tuple[str, ...]
) -> Iterator[tuple[str, tuple[str, ...]]]:
    for entry in resolver.url_patterns:
        found = (*outer, *entry.pattern.regex.groupindex)
        if isinstance(entry, URLPattern):
            if entry.name:
                yield namespace + entry.name, found
        else:
            inner = f"{namespace}{entry.namespace}:" if entry.namespace else namespace
            yield from _walk(entry, inner, found)

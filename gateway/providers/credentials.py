"""
Our account with a provider as one text: a plain key, or a JSON object where more than a key is needed. Pure.

The text is stored sealed. What each API needs is told here once, for the command line, the admin and whoever sends.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final
from urllib.parse import urlsplit

Fields = Mapping[str, str]


class CredentialInvalid(Exception):
    """The credential cannot work; `reason` says why, without any of it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Kind:
    """
    What an API's credential holds: `places` name where our account is and are no secrets; of `one_of` one group
    of secrets must be there whole; `optional` may be.
    """

    one_of: tuple[tuple[str, ...], ...]
    places: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    defaults: Mapping[str, str] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """Every field, in the order in which a form asks for them."""
        secrets = (name for group in self.one_of for name in group)
        return tuple(dict.fromkeys((*self.places, *secrets, *self.optional)))


_GOOGLE: Final = Kind(
    one_of=(("service_account",), ("api_key",)),
    places=("region", "project"),
    defaults={"region": "global"},
)
KINDS: Final[Mapping[str, Kind]] = {
    "bedrock": Kind(
        one_of=(("api_key",), ("access_key_id", "secret_access_key")),
        places=("region",),
        optional=("session_token",),
    ),
    "vertex": _GOOGLE,
    "vertex-claude": _GOOGLE,
    "azure": Kind(
        one_of=(("api_key",), ("tenant_id", "client_id", "client_secret")),
        places=("resource",),
    ),
}
_PLAIN: Final = "api_key"
_MAX_FIELD: Final = 16_384
_PLACE: Final = re.compile(r"[A-Za-z0-9-]{1,100}")  # they become parts of addresses


def pack(api: str, fields: Fields) -> str:
    """Return the text to be sealed. Raises CredentialInvalid."""
    kind = KINDS[api]
    given = {name: value.strip() for name, value in fields.items() if value.strip()}
    if "service_account" in given:
        given.setdefault("project", _service_account(given["service_account"])["project_id"])
    given = {**kind.defaults, **given}
    _check(kind, given)
    return json.dumps(given, sort_keys=True)


def compose(api: str, text: str, *, places: Fields | None = None) -> str:
    """
    Return the text to be sealed for what an operator gave: a key, a JSON object of fields, or the file of a Google
    service account; `places` say where the account is. Raises CredentialInvalid.
    """
    given = {name: value for name, value in (places or {}).items() if value}
    if api not in KINDS:
        if given:
            raise CredentialInvalid(f"Its API takes no {', '.join(given)}.")
        return text
    if not text.lstrip().startswith("{"):
        return pack(api, {_PLAIN: text, **given}) if given else text
    fields = _json(text)
    if "private_key" in fields:
        return pack(api, {"service_account": text, **given})
    return pack(api, {**_strings(fields), **given})


@lru_cache(maxsize=256)
def unpack(api: str, text: str) -> Fields:
    """Return the fields of a credential; a plain key is the field `api_key`. Raises CredentialInvalid."""
    defaults = KINDS[api].defaults if api in KINDS else {}
    if not text.lstrip().startswith("{"):
        return {**defaults, _PLAIN: text} if text else defaults
    return {**defaults, **_object(text)}


def last4(text: str) -> str:
    """Return the last characters of the secret, to tell two credentials apart."""
    if not text.lstrip().startswith("{"):
        return text[-4:]
    fields = _object(text)
    for name in ("access_key_id", _PLAIN, "client_id"):
        if name in fields:
            return fields[name][-4:]
    account = fields.get("service_account")
    return _service_account(account)["private_key_id"][-4:] if account else ""


def service_account(fields: Fields) -> Fields:
    """Return a Google service account's own fields. Raises CredentialInvalid."""
    return _service_account(fields["service_account"])


def filled(address: str, fields: Fields) -> str:
    """Return an address with `{region}` and the like written into it. Raises CredentialInvalid."""
    if "{" not in address:
        return address
    values = dict(fields)
    if region := values.get("region"):
        values["google_host"] = _google_host(region)
    for name in ("google_host", "region", "project", "resource"):
        if f"{{{name}}}" in address:
            if name not in values:
                raise CredentialInvalid(f"It names no {name}.")
            address = address.replace(f"{{{name}}}", values[name])
    return address


def _google_host(region: str) -> str:
    """https://cloud.google.com/vertex-ai/generative-ai/docs/learn/locations (read 2026-11): all, some or one region."""
    if region == "global":
        return "aiplatform.googleapis.com"
    if region in ("us", "eu"):
        return f"aiplatform.{region}.rep.googleapis.com"
    return f"{region}-aiplatform.googleapis.com"


def _check(kind: Kind, given: Fields) -> None:
    for name, value in given.items():
        if name not in kind.names:
            raise CredentialInvalid(f"'{name[:40]}' is none of {', '.join(kind.names)}.")
        if len(value) > _MAX_FIELD:
            raise CredentialInvalid(f"Its {name} is too long.")
        if name in kind.places and not _PLACE.fullmatch(value):
            raise CredentialInvalid(f"Its {name} must have letters, digits and hyphens only.")
    groups = [group for group in kind.one_of if any(name in given for name in group)]
    if len(groups) != 1 or not all(name in given for name in groups[0]):
        ways = " or ".join(" and ".join(group) for group in kind.one_of)
        raise CredentialInvalid(f"It must have {ways}, and not parts of several.")


def _object(text: str) -> dict[str, str]:
    return _strings(_json(text))


def _strings(fields: dict[str, Any]) -> dict[str, str]:
    if any(not isinstance(value, str) for value in fields.values()):
        raise CredentialInvalid("Every field of it must be a string.")
    return fields


def _service_account(text: str) -> dict[str, str]:
    """https://cloud.google.com/iam/docs/keys-create-delete (read 2026-11): the file that Google gives out."""
    account = _json(text)
    for name in ("client_email", "private_key", "private_key_id", "project_id", "token_uri"):
        if not isinstance(account.get(name), str) or not account[name]:
            raise CredentialInvalid(f"Its service account has no {name}.")
    address = urlsplit(account["token_uri"])
    if address.scheme != "https" and address.hostname not in ("127.0.0.1", "localhost"):
        raise CredentialInvalid("Its service account's token_uri must be https.")
    return account


def _json(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        raise CredentialInvalid("It is no valid JSON.") from None
    if not isinstance(value, dict):
        raise CredentialInvalid("It is no JSON object.")
    return value

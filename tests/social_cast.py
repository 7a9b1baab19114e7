"""
A stand-in for Google and GitHub on loopback, and a person who says yes there.

It keeps the rules that the real ones keep: a code works once, for the client and the address it was made for, with
the secret, and with the verifier of its PKCE challenge. What it tells of the person, a test decides.
"""

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import jwt
import pytest
from allauth.socialaccount.providers.github.views import GitHubOAuth2Adapter
from allauth.socialaccount.providers.google.views import GoogleOAuth2Adapter
from django.http.response import HttpResponseBase
from django.test import Client
from django.urls import reverse

CLIENT, SECRET = "client-of-tests", "secret-of-tests"
Person = dict[str, Any]
DORA_AT_GOOGLE: Person = {"sub": "10001", "email": "dora@initech.example", "email_verified": True}
DORA_AT_GITHUB: Person = {
    "user": {"id": 20002, "login": "dora", "name": "Dora", "email": "shown@elsewhere.example"},
    "emails": [
        {"email": "old@initech.example", "primary": False, "verified": True},
        {"email": "dora@initech.example", "primary": True, "verified": True},
    ],
}


class SocialServer(ThreadingHTTPServer):
    """Both providers at one port; `asked` holds the query of each visit to a page of consent."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.reset()

    def reset(self) -> None:
        """Forget what an earlier test did."""
        self.google: Person = dict(DORA_AT_GOOGLE)
        self.github: Person = dict(DORA_AT_GITHUB)
        self.asked: list[dict[str, str]] = []
        self.tokens: list[str] = []
        self.codes: dict[str, dict[str, str]] = {}
        self.token_error = False

    @property
    def url(self) -> str:
        """The origin of the stand-in."""
        return f"http://127.0.0.1:{self.server_port}"

    def consent(self, address: str) -> str:
        """Return the address that a person who said yes is sent back to, as a path."""
        query = dict(parse_qsl(urlsplit(address).query))
        self.asked.append(query)
        code = secrets.token_hex(8)
        self.codes[code] = query
        back = urlsplit(query["redirect_uri"])
        return f"{back.path}?{urlencode({'code': code, 'state': query['state']})}"

    def token_for(self, form: dict[str, str]) -> dict[str, str] | None:
        """Return the answer to a code, None if it is not good for this client, address and verifier."""
        query = self.codes.pop(form.get("code", ""), None)
        if query is None or self.token_error or form.get("client_secret") != SECRET:
            return None
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if challenge != query["code_challenge"] or form["redirect_uri"] != query["redirect_uri"]:
            return None
        self.tokens.append(secrets.token_hex(16))
        answer = {"access_token": self.tokens[-1], "token_type": "bearer"}
        if "openid" in query["scope"]:
            now = int(time.time())
            claims = {"iss": "https://accounts.google.com", "aud": CLIENT, "iat": now}
            answer["id_token"] = jwt.encode(
                {**claims, "exp": now + 600, **self.google}, "k" * 32, algorithm="HS256"
            )
        return answer


class _Handler(BaseHTTPRequestHandler):
    server: SocialServer

    def do_POST(self) -> None:
        """Exchange a code for a token."""
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        answer = self.server.token_for({name: value[0] for name, value in parse_qs(body).items()})
        self._answer(400 if answer is None else 200, answer or {"error": "invalid_grant"})

    def do_GET(self) -> None:
        """Tell of the person, to whoever has the last token."""
        if not self.headers.get("Authorization", "").endswith(self.server.tokens[-1]):
            return self._answer(401, {})
        found = {
            "/github/user": self.server.github["user"],
            "/github/user/emails": self.server.github.get("emails"),
        }[self.path]
        return self._answer(404 if found is None else 200, found or [])

    def _answer(self, status: int, body: Any) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="session")
def social_server() -> Iterator[SocialServer]:
    """The stand-in, for the whole session."""
    with SocialServer() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def social(social_server: SocialServer, monkeypatch: pytest.MonkeyPatch) -> SocialServer:
    """The stand-in, fresh, at which allauth's own adapters now look."""
    social_server.reset()
    url = social_server.url
    monkeypatch.setattr(GoogleOAuth2Adapter, "authorize_url", f"{url}/google/auth")
    monkeypatch.setattr(GoogleOAuth2Adapter, "access_token_url", f"{url}/google/token")
    monkeypatch.setattr(GitHubOAuth2Adapter, "authorize_url", f"{url}/github/authorize")
    monkeypatch.setattr(GitHubOAuth2Adapter, "access_token_url", f"{url}/github/token")
    monkeypatch.setattr(GitHubOAuth2Adapter, "profile_url", f"{url}/github/user")
    monkeypatch.setattr(GitHubOAuth2Adapter, "emails_url", f"{url}/github/user/emails")
    return social_server


def begin(client: Client, provider: str, **fields: str) -> str:
    """Press the button; return the address of the provider's page of consent."""
    return str(client.post(reverse(f"{provider}_login"), fields)["Location"])


def come_by(client: Client, social: SocialServer, provider: str, **fields: str) -> HttpResponseBase:
    """Press the button, say yes there, and return the answer to coming back."""
    return client.get(social.consent(begin(client, provider, **fields)))

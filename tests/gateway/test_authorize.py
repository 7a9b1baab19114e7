"""What proves that a request is ours: added as it is sent, fetched once for all who wait, and never told."""

import asyncio
import base64
import json
import logging
from typing import Any
from urllib.parse import parse_qs

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from gateway.providers import credentials
from gateway.providers.access_tokens import AccessTokens, token_request
from gateway.providers.authorize import Authorizer
from gateway.providers.base import ProviderError, Upstream, UpstreamRequest

pytestmark = pytest.mark.anyio
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PEM = KEY.private_bytes(
    serialization.Encoding.PEM,
    serialization.PrivateFormat.PKCS8,
    serialization.NoEncryption(),
).decode()
ACCOUNT = {
    "client_email": "gateway@project-1.iam.example",
    "private_key": PEM,
    "private_key_id": "key-1",
    "project_id": "project-1",
    "token_uri": "https://oauth2.example/token",
}
GOOGLE = credentials.compose("vertex", json.dumps(ACCOUNT), places={"region": "us-east5"})
AWS = {"access_key_id": "AKIDEXAMPLE", "secret_access_key": "CANARY-secret", "region": "eu-west-1"}
VERTEX_URL = "https://{google_host}/v1/projects/{project}/locations/{region}/publishers/google/x"


@pytest.fixture
def anyio_backend():
    return "asyncio"


class TokenServer:
    """Answers token requests; counts them and can be made slow or unwilling."""

    def __init__(self, *, status: int = 200, seconds: int = 3600) -> None:
        self.status = status
        self.seconds = seconds
        self.requests: list[UpstreamRequest] = []
        self.asked = asyncio.Event()
        self.let_go = asyncio.Event()
        self.let_go.set()

    async def send(self, request: UpstreamRequest) -> Any:
        self.requests.append(request)
        self.asked.set()
        number = len(self.requests)
        await self.let_go.wait()
        return _Answer(self.status, {"access_token": f"token-{number}", "expires_in": self.seconds})


class _Answer:
    def __init__(self, status: int, body: Any) -> None:
        self.status = status
        self.headers: dict[str, str] = {}
        self._data = json.dumps(body).encode()

    async def read(self) -> bytes:
        return self._data

    async def close(self) -> None:
        return None


def request(url: str = "https://x.example/v1") -> UpstreamRequest:
    return UpstreamRequest(url, (("accept", "application/json"),), b"{}")


async def sent(api: str, credential: str, *, url: str, server: TokenServer | None = None) -> Any:
    authorizer = Authorizer((server or TokenServer()).send)
    made = await authorizer.authorized(request(url), Upstream("p", api, url, credential))
    await authorizer.close()
    return made


async def test_bedrocks_requests_are_signed_for_the_region_of_the_account():
    credential = credentials.compose("bedrock", json.dumps(AWS))

    made = await sent("bedrock", credential, url="https://b.{region}.example/model/m/converse")

    headers = dict(made.headers)
    assert made.url == "https://b.eu-west-1.example/model/m/converse"
    assert (
        "/eu-west-1/bedrock/aws4_request, SignedHeaders=host;x-amz-date,"
        in headers["authorization"]
    )
    assert "CANARY" not in str(made.headers)


@pytest.mark.parametrize(
    ("api", "name", "value"),
    [
        ("bedrock", "authorization", "Bearer plain-key"),
        ("vertex", "x-goog-api-key", "plain-key"),
        ("azure", "api-key", "plain-key"),
    ],
)
async def test_a_plain_key_goes_where_its_api_wants_it(api, name, value):
    made = await sent(api, "plain-key", url="https://x.example/v1")

    assert dict(made.headers)[name] == value


async def test_other_apis_pass_untouched():
    given = request()

    authorizer = Authorizer(TokenServer().send)

    assert await authorizer.authorized(given, Upstream("p", "openai", "", "key")) is given


async def test_a_service_account_proves_itself_by_a_signed_statement():
    server = TokenServer()

    made = await sent("vertex", GOOGLE, url=VERTEX_URL, server=server)

    assert made.url == (
        "https://us-east5-aiplatform.googleapis.com/v1/projects/project-1/locations/us-east5"
        "/publishers/google/x"
    )
    assert dict(made.headers)["authorization"] == "Bearer token-1"
    (asked,) = server.requests
    assert asked.url == ACCOUNT["token_uri"]
    form = parse_qs(asked.body.decode())
    assert form["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
    head, claims, signature = form["assertion"][0].split(".")
    told = json.loads(decoded(claims))
    assert told["iss"] == ACCOUNT["client_email"]
    assert told["aud"] == ACCOUNT["token_uri"]
    assert told["exp"] - told["iat"] == 3600
    KEY.public_key().verify(
        decoded(signature), f"{head}.{claims}".encode(), padding.PKCS1v15(), hashes.SHA256()
    )


def decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


async def test_an_application_at_azure_asks_microsoft():
    fields = {"tenant_id": "a/b", "client_id": "c", "client_secret": "CANARY"}

    asked = token_request(fields, now=0)

    assert asked.url == "https://login.microsoftonline.com/a%2Fb/oauth2/v2.0/token"
    assert parse_qs(asked.body.decode())["grant_type"] == ["client_credentials"]
    assert "CANARY" not in repr(asked)


async def test_a_token_is_fetched_once_for_all_who_wait_for_it():
    server = TokenServer()
    server.let_go.clear()
    tokens = AccessTokens(server.send)
    fields = credentials.unpack("vertex", GOOGLE)

    waiting = [asyncio.create_task(tokens.get("vertex", GOOGLE, fields)) for _ in range(20)]
    await asyncio.wait_for(server.asked.wait(), 60)
    waiting[0].cancel()  # the caller that started it gives up
    server.let_go.set()
    got = await asyncio.gather(*waiting, return_exceptions=True)

    assert isinstance(got[0], asyncio.CancelledError)
    assert got[1:] == ["token-1"] * 19
    assert len(server.requests) == 1


async def test_a_token_is_renewed_behind_before_it_ends():
    now = [0.0]
    server = TokenServer(seconds=3600)
    tokens = AccessTokens(server.send, clock=lambda: now[0])
    fields = credentials.unpack("vertex", GOOGLE)

    async def get() -> str:
        return await tokens.get("vertex", GOOGLE, fields)

    assert await get() == "token-1"
    now[0] = 3_299
    assert await get() == "token-1"
    assert len(server.requests) == 1
    now[0] = 3_400
    assert await get() == "token-1"  # still good, and the next one is on its way
    server.asked.clear()
    await asyncio.wait_for(server.asked.wait(), 60)
    for _ in range(10):
        await asyncio.sleep(0)
    assert await get() == "token-2"
    now[0] = 3_400 + 3_601
    assert await get() == "token-3"
    assert len(server.requests) == 3


@pytest.mark.parametrize(("status", "kind"), [(400, "auth"), (401, "auth"), (503, "overloaded")])
async def test_a_token_that_is_refused_is_our_accounts_fault_and_another_route_may_serve(
    status, kind
):
    with pytest.raises(ProviderError) as caught:
        await sent("vertex", GOOGLE, url=VERTEX_URL, server=TokenServer(status=status))

    assert (caught.value.kind, caught.value.sent, caught.value.retryable) == (kind, False, True)
    assert "token" not in caught.value.message


async def test_a_refused_token_is_asked_for_again_by_the_next_call():
    server = TokenServer(status=500)
    tokens = AccessTokens(server.send)
    fields = credentials.unpack("vertex", GOOGLE)
    with pytest.raises(ProviderError):
        await tokens.get("vertex", GOOGLE, fields)

    server.status = 200

    assert await tokens.get("vertex", GOOGLE, fields) == "token-2"


@pytest.mark.parametrize(
    ("api", "credential"),
    [
        ("bedrock", '{"access_key_id": "CANARY"}'),
        ("bedrock", "{CANARY"),
        (
            "vertex",
            json.dumps({"service_account": json.dumps({**ACCOUNT, "private_key": "CANARY"})}),
        ),
    ],
)
async def test_an_account_that_is_not_set_up_is_told_without_its_secret(api, credential, caplog):
    caplog.set_level(logging.DEBUG)

    with pytest.raises(ProviderError) as caught:
        await sent(api, credential, url="https://{region}.example")

    assert (caught.value.kind, caught.value.sent) == ("auth", False)
    assert "CANARY" not in caplog.text + repr(caught.value) + str(caught.value.__cause__)

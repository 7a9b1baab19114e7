"""Who may call: every way to send a key, every reason to refuse it, and no secret in any answer."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.utils import timezone

from accounts.models import Organization
from apikeys import keys, leaks, services
from apikeys.models import ApiKey
from tests import factories
from tests.upstream import wait_until

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def models(shop, **headers):
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    return shop.gateway.request("GET", "/v1/models", headers=headers)


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_key_is_accepted_as_bearer_in_any_case(shop, scheme):
    assert models(shop, authorization=f"{scheme} {shop.secret}").status == 200


@pytest.mark.parametrize("header", ["x_api_key", "api_key", "x_goog_api_key"])
def test_key_is_accepted_in_the_headers_of_other_clients(shop, header):
    assert models(shop, **{header: shop.secret}).status == 200


def test_same_key_twice_is_accepted(shop):
    answer = models(
        shop,
        authorization=f"Bearer {shop.secret}",
        x_api_key=shop.secret,
        x_goog_api_key=shop.secret,
    )

    assert answer.status == 200


def test_two_different_keys_are_refused(shop):
    answer = models(shop, authorization=f"Bearer {shop.secret}", x_api_key=shop.make_key())

    assert (answer.status, answer.error["code"]) == (400, "conflicting_credentials")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": ""},
        {"authorization": "Bearer"},
        {"authorization": "Bearer   "},
        {"x_api_key": ""},
        {"cookie": "api_key=KEY; sessionid=KEY"},
    ],
    ids=str,
)
def test_call_without_a_key_is_told_how_to_send_one(shop, headers):
    answer = models(shop, **{n: v.replace("KEY", shop.secret) for n, v in headers.items()})

    assert (answer.status, answer.error["code"]) == (401, "missing_api_key")


@pytest.mark.parametrize("name", ["key", "api_key", "api-key", "x-api-key", "access_token"])
def test_key_in_the_query_is_not_looked_at(shop, name):
    answer = shop.gateway.request("GET", f"/v1/models?{name}={shop.secret}")

    assert (answer.status, answer.error["code"]) == (401, "missing_api_key")
    assert shop.secret.encode() not in answer.body


@pytest.mark.parametrize(
    "credential",
    [
        "Basic KEY",
        "Token KEY",
        "KEY",
        "Bearer KEY extra",
        "Bearer KEY,Bearer KEY",
        'Bearer "KEY"',
        "Bearer ' OR 1=1 --",
        "Bearer sk-exr-live-",
        "Bearer \xff\xfe",
        "Bearer " + "a" * 8000,
    ],
)
def test_what_is_no_key_is_refused_and_not_repeated(shop, credential):
    answer = models(shop, authorization=credential.replace("KEY", shop.secret))

    assert (answer.status, answer.error["code"]) == (401, "invalid_api_key")
    assert shop.secret.encode() not in answer.body


def test_wrong_checksum_asks_no_database(shop):
    last = shop.secret[-1]
    wrong = shop.secret[:-1] + ("a" if last != "a" else "b")
    with connection.cursor() as cursor:
        # While the table is locked, a look into it would wait.
        cursor.execute("BEGIN; LOCK TABLE apikeys_apikey IN ACCESS EXCLUSIVE MODE")
        try:
            answer = shop.gateway.request(
                "GET", "/v1/models", headers={"authorization": f"Bearer {wrong}"}
            )
            with pytest.raises(TimeoutError):
                shop.gateway.request("GET", "/v1/models", key=keys.make("live").secret, seconds=0.5)
        finally:
            cursor.execute("ROLLBACK")

    assert (answer.status, answer.error["code"]) == (401, "invalid_api_key")


def test_stored_hash_is_no_credential(shop):
    stored = bytes(shop.key.key.key_hash).hex()

    for credential in (stored, f"sk-exr-live-{stored[:49]}", shop.key.key.public_id):
        assert models(shop, authorization=f"Bearer {credential}").status == 401


def test_key_that_nobody_has_is_refused_showing_only_its_ends(shop):
    secret = keys.make("live").secret

    answer = models(shop, authorization=f"Bearer {secret}")

    assert (answer.status, answer.error["code"]) == (401, "invalid_api_key")
    assert secret[-4:] in answer.error["message"]
    assert secret[12:-4] not in answer.error["message"]


def revoke(key):
    services.revoke_key(key, actor=None)


def disable(key):
    services.disable_key(key, actor=None)


def expire(key):
    ApiKey.objects.filter(pk=key.pk).update(expires_at=timezone.now() - timedelta(seconds=1))


def suspend(key):
    Organization.objects.filter(pk=key.organization_id).update(suspended_at=NOW)


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        (revoke, 401, "key_revoked"),
        (disable, 401, "key_disabled"),
        (expire, 401, "key_expired"),
        (suspend, 403, "organization_suspended"),
    ],
)
def test_key_that_may_be_used_no_more_is_refused_though_it_was_known(shop, change, status, code):
    assert shop.chat().status == 200

    change(shop.key.key)

    wait_until(lambda: models(shop, x_api_key=shop.secret).status == status)
    answer = shop.chat()
    assert (answer.status, answer.error["code"]) == (status, code)
    assert shop.secret.encode() not in answer.body
    assert shop.secret[-4:] in answer.error["message"]


def test_refusal_of_a_leaked_key_says_that_it_was_found_and_what_to_do(shop):
    assert shop.chat().status == 200

    leaks.mark(shop.key.key, place="https://example.com/a.py", source="a scanner", actor=None)

    wait_until(lambda: models(shop, x_api_key=shop.secret).status == 401)
    told = shop.chat().error
    assert told["code"] == "key_disabled"
    assert "found in public" in told["message"]
    assert "Rotate it" in told["message"]


def test_key_that_expires_between_two_looks_is_refused_by_the_database(shop):
    assert shop.chat().status == 200

    expire(shop.key.key)

    answer = shop.chat()
    assert (answer.status, answer.error["code"]) == (401, "key_expired")


def test_enabled_key_works_again(shop):
    services.disable_key(shop.key.key, actor=None)
    wait_until(lambda: shop.chat().status == 401)

    services.enable_key(shop.key.key, actor=None)

    wait_until(lambda: shop.chat().status == 200)


@pytest.mark.parametrize(
    ("allowed", "status"),
    [(["127.0.0.1"], 200), (["10.0.0.0/8", "127.0.0.0/8"], 200), (["10.0.0.0/8", "::1"], 401)],
)
def test_allow_list_of_addresses_holds(shop, allowed, status):
    answer = models(shop, authorization=f"Bearer {shop.make_key(ip_allow_list=allowed)}")

    assert answer.status == status
    if status == 401:
        assert answer.error["code"] == "ip_not_allowed"


def test_forwarded_address_of_the_client_is_not_believed(shop):
    secret = shop.make_key(ip_allow_list=["10.0.0.1"])

    for header in ("x_forwarded_for", "x_real_ip", "forwarded"):
        assert models(shop, x_api_key=secret, **{header: "10.0.0.1"}).status == 401


def test_endpoint_scope_refuses_other_endpoints_but_never_reading(shop):
    secret = shop.make_key(endpoints=["embeddings"])

    chat = shop.gateway.chat(secret, model=shop.model)

    assert (chat.status, chat.error["code"]) == (403, "endpoint_not_allowed")
    assert shop.gateway.request("GET", "/v1/models", key=secret).status == 200
    assert shop.gateway.request("GET", f"/v1/models/{shop.model}", key=secret).status == 200


def test_model_scope_refuses_other_models_everywhere_and_does_not_tell_which_exist(shop):
    secret = shop.make_key(model_patterns=["sandbox/*"])

    chat = shop.gateway.chat(secret, model=shop.model)
    missing = shop.gateway.chat(secret, model="no-such-model")

    assert (chat.status, chat.error["code"]) == (403, "model_not_allowed")
    assert (missing.status, missing.error["code"]) == (403, "model_not_allowed")
    listed = shop.gateway.request("GET", "/v1/models", key=secret).json["data"]
    assert all(model["id"].startswith("sandbox/") for model in listed)
    assert shop.gateway.request("GET", f"/v1/models/{shop.model}", key=secret).status == 404


@pytest.mark.parametrize(("modalities", "status"), [(["chat"], 200), (["embedding"], 403)])
def test_modality_scope_is_by_kind_of_model(shop, modalities, status):
    secret = shop.make_key(modalities=modalities)

    assert shop.gateway.chat(secret, model=shop.model).status == status
    listed = shop.gateway.request("GET", "/v1/models", key=secret).json["data"]
    assert {model["kind"] for model in listed} <= set(modalities)
    found = shop.gateway.request("GET", f"/v1/models/{shop.model}", key=secret)
    assert found.status == (200 if status == 200 else 404)


def test_key_of_another_organization_sees_nothing_of_this_one(shop):
    stranger = factories.make_api_key(factories.make_organization())

    answer = shop.gateway.chat(stranger.secret, model=shop.model)

    assert (answer.status, answer.error["code"]) == (429, "insufficient_quota")
    assert shop.organization.name.encode() not in answer.body


def test_nothing_of_the_client_reaches_the_provider(shop):
    body = {"model": shop.model, "messages": [{"role": "user", "content": "Hi"}]}
    headers = {
        "cookie": "sessionid=secret",
        "x-forwarded-for": "10.1.2.3",
        "openai-organization": "org-theirs",
        "x-stainless-os": "Linux",
        "user-agent": "OpenAI/Python 3",
    }

    answer = shop.gateway.request(
        "POST", "/v1/chat/completions", key=shop.secret, body=body, headers=headers
    )

    assert answer.status == 200
    [call] = shop.upstream.calls
    ours = {"host", "accept", "accept-encoding", "content-type", "content-length", "user-agent"}
    assert set(call.headers) <= ours
    assert call.headers["accept-encoding"] == "identity"
    assert call.headers["user-agent"].startswith("exerati")

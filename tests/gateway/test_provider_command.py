"""`provider add` for accounts that are more than a key: what is asked for, what is stored, what is never shown."""

import io
import json

import pytest
from django.core.management import CommandError

from gateway import snapshot
from gateway.models import Provider
from tests.gateway.test_catalog_load import run
from tests.gateway.test_credentials import ACCOUNT

pytestmark = pytest.mark.django_db
AWS = {"access_key_id": "AKIDWXYZ", "secret_access_key": "CANARY"}


@pytest.fixture
def add(monkeypatch, capfd):
    def call(name, *words, given):
        monkeypatch.setattr("sys.stdin", io.StringIO(given))
        answer = run("provider", "add", name, "--api-key-stdin", *words)
        assert "CANARY" not in json.dumps(answer)
        return answer

    yield call
    printed = capfd.readouterr()
    assert "CANARY" not in printed.out + printed.err


def stored(name):
    provider = Provider.objects.get(name=name)
    return provider, json.loads(snapshot.credential(provider))


def test_bedrock_takes_an_access_key_and_a_region(add):
    answer = add("bedrock", "--region", "eu-west-1", given=json.dumps(AWS))

    provider, credential = stored("bedrock")
    assert answer["on"]
    assert answer["why"] == "credential …WXYZ is stored"
    assert provider.base_url == "https://bedrock-runtime.{region}.amazonaws.com"
    assert credential == {**AWS, "region": "eu-west-1"}


def test_bedrock_takes_a_key_of_its_own(add):
    assert add("bedrock", "--region", "us-east-1", given="ABSK-CANARY-1234")["on"]

    assert stored("bedrock")[1] == {"api_key": "ABSK-CANARY-1234", "region": "us-east-1"}


@pytest.mark.parametrize("name", ["vertex", "vertex-claude"])
def test_vertex_takes_googles_file_as_it_is(add, name):
    assert add(name, "--region", "us-east5", given=json.dumps(ACCOUNT))["on"]

    provider, credential = stored(name)
    assert (credential["region"], credential["project"]) == ("us-east5", "project-1")
    assert json.loads(credential["service_account"]) == ACCOUNT
    assert provider.credential_last4 == "1234"


def test_azure_takes_a_key_and_the_name_of_the_resource(add):
    assert add("azure", "--resource", "our-resource", given="CANARY-key")["on"]

    assert stored("azure")[1] == {"api_key": "CANARY-key", "resource": "our-resource"}


@pytest.mark.parametrize(
    ("name", "words", "given", "says"),
    [
        ("bedrock", ["--region", "us east"], json.dumps(AWS), "region must have letters"),
        ("bedrock", ["--region", "us-east-1"], '{"access_key_id": "CANARY"}', "It must have"),
        ("vertex", [], '{"private_key": "CANARY"}', "service account has no"),
        ("openai", ["--region", "us"], "sk-CANARY", "takes no region"),
    ],
)
def test_what_cannot_work_is_refused_before_it_is_stored(add, name, words, given, says):
    with pytest.raises(CommandError, match=says) as caught:
        add(name, *words, given=given)

    assert "CANARY" not in str(caught.value)
    assert not Provider.objects.exists()


def test_a_key_without_its_region_leaves_the_provider_off_and_says_why(add):
    answer = add("bedrock", given="ABSK-CANARY-1234")

    assert not answer["on"]
    assert answer["why"].startswith("It names no region.")

"""Which files settings are read from."""

import pytest
from pydantic import ValidationError

from exerati.settings import env


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch):
    monkeypatch.delenv("SITE_URL", raising=False)


def test_files_that_are_named_are_read_and_the_last_one_wins(monkeypatch, tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).write_text(f"SITE_URL=https://{name}.example\n")
    monkeypatch.setenv("EXERATI_ENV_FILES", f"{tmp_path / 'one'}:{tmp_path / 'two'}")

    assert env.read().site_url == "https://two.example"


def test_no_file_is_read_where_none_is_named(monkeypatch, tmp_path):
    (tmp_path / "local.env").write_text("SITE_URL=https://of-an-earlier-up.example\n")
    monkeypatch.setattr(env, "STATE_DIR", tmp_path)
    monkeypatch.setenv("EXERATI_ENV_FILES", "")

    assert env.read().site_url == "http://127.0.0.1:8000"


def test_keys_of_scanners_that_are_none_stop_the_start_with_their_name(monkeypatch):
    monkeypatch.setenv("EXERATI_ENV_FILES", "")
    monkeypatch.setenv("EXERATI_LEAK_REPORT_KEYS", '{"public_keys": [{"key": "x"}]}')

    with pytest.raises(ValidationError, match="EXERATI_LEAK_REPORT_KEYS"):
        env.read()


def test_forms_lead_to_a_provider_of_accounts_only_where_it_is_set_up(monkeypatch):
    monkeypatch.setenv("EXERATI_ENV_FILES", "")
    before = env.read().form_targets()
    monkeypatch.setenv("EXERATI_GITHUB_CLIENT_ID", "abc")

    assert before == []
    assert env.read().form_targets() == ["https://github.com"]

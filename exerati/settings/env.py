"""Typed values and masked secrets read from the environment; a wrong value stops the start with its name."""

import os
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from pydantic import Field, PostgresDsn, RedisDsn, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from exerati.lib import signed_reports

BASE_DIR = Path(__file__).resolve().parent.parent.parent
STATE_DIR = BASE_DIR / ".exerati"
LIVE_KEYS = ("sk_live_", "rk_live_")


def env_files() -> list[Path]:
    """Return the files to read values from; EXERATI_ENV_FILES names others, empty for none (as tests do)."""
    given = os.environ.get("EXERATI_ENV_FILES")
    if given is None:
        return [STATE_DIR / "local.env", BASE_DIR / ".env"]
    return [Path(name) for name in given.split(os.pathsep) if name]


class Env(BaseSettings):
    """
    Every value the environment may set.

    `.exerati/local.env` is written by `manage.py up`; `.env` is the operator's; the process
    environment wins over both.
    """

    model_config = SettingsConfigDict(
        extra="ignore",
        hide_input_in_errors=True,
    )

    database_url: PostgresDsn = Field(
        default=PostgresDsn("postgresql://exerati@127.0.0.1:5432/exerati")
    )
    redis_url: RedisDsn = Field(default=RedisDsn("redis://127.0.0.1:6379/0"))
    site_url: str = "http://127.0.0.1:8000"
    api_base_url: str = ""
    debug: bool = Field(default=False, alias="EXERATI_DEBUG")
    secret_key: SecretStr = Field(default=SecretStr(""), alias="EXERATI_SECRET_KEY")
    key_pepper: SecretStr = Field(default=SecretStr(""), alias="EXERATI_KEY_PEPPER")
    field_key: SecretStr = Field(default=SecretStr(""), alias="EXERATI_FIELD_KEY")
    allowed_hosts: str = Field(default="", alias="EXERATI_ALLOWED_HOSTS")
    trusted_proxies: int = Field(default=0, ge=0, alias="EXERATI_TRUSTED_PROXIES")
    email_url: str = Field(default="console://", alias="EXERATI_EMAIL")
    mail_from: str = Field(default="Exerati <no-reply@exerati.com>", alias="EXERATI_MAIL_FROM")
    markup_percent: str = Field(default="5.5", alias="EXERATI_MARKUP_PERCENT")
    stripe_secret_key: SecretStr = Field(default=SecretStr(""), alias="STRIPE_SECRET_KEY")
    stripe_webhook_secret: SecretStr = Field(default=SecretStr(""), alias="STRIPE_WEBHOOK_SECRET")
    stripe_api_base: str = Field(default="", alias="EXERATI_STRIPE_API_BASE")
    stripe_tax: bool = Field(default=False, alias="EXERATI_STRIPE_TAX")
    leak_report_keys: str = Field(default="", alias="EXERATI_LEAK_REPORT_KEYS")
    google_client_id: str = Field(default="", alias="EXERATI_GOOGLE_CLIENT_ID")
    google_client_secret: SecretStr = Field(
        default=SecretStr(""), alias="EXERATI_GOOGLE_CLIENT_SECRET"
    )
    github_client_id: str = Field(default="", alias="EXERATI_GITHUB_CLIENT_ID")
    github_client_secret: SecretStr = Field(
        default=SecretStr(""), alias="EXERATI_GITHUB_CLIENT_SECRET"
    )
    drain_seconds: int = Field(default=120, ge=0, alias="EXERATI_DRAIN_SECONDS")
    page_statement_seconds: float = Field(default=10, gt=0, alias="EXERATI_PAGE_STATEMENT_SECONDS")
    log_level: str = Field(default="INFO", alias="EXERATI_LOG_LEVEL")

    @field_validator("leak_report_keys")
    @classmethod
    def report_keys_are_keys(cls, value: str) -> str:
        """Refuse anything but the document of public keys that a secret scanner publishes."""
        signed_reports.read_keys(value)
        return value

    @model_validator(mode="after")
    def live_payments_are_safe(self) -> "Env":
        """Refuse a live key without the secret that tells Stripe's webhooks from forged ones, or with a stand-in."""
        if not self.stripe_secret_key.get_secret_value().startswith(LIVE_KEYS):
            return self
        if not self.stripe_webhook_secret.get_secret_value().startswith("whsec_"):
            raise ValueError(
                "STRIPE_SECRET_KEY is live, so STRIPE_WEBHOOK_SECRET must be set (whsec_...)."
            )
        if self.stripe_api_base:
            raise ValueError(
                "STRIPE_SECRET_KEY is live, so EXERATI_STRIPE_API_BASE must not be set."
            )
        return self

    def form_targets(self) -> list[str]:
        """Return the origins besides ours that the answer to a form may lead to: Chromium checks redirects, too."""
        targets = {
            "https://accounts.google.com": self.google_client_id,
            "https://github.com": self.github_client_id,
        }
        return [origin for origin, is_used in targets.items() if is_used]


def read() -> Env:
    """Return the values of this process: those of its environment, else those of the files."""
    files: dict[str, Any] = {"_env_file": env_files()}  # mypy knows only the fields as arguments
    return Env(**files)


def database_settings(url: str) -> dict[str, Any]:
    """Return Django's DATABASES entry for a `postgresql://user:password@host:port/name?option=value` address."""
    parts = urlsplit(url)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.lstrip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": parts.hostname or "",
        "PORT": str(parts.port or 5432),
        "OPTIONS": dict(parse_qsl(parts.query)),
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
    }

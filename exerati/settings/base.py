"""Every setting, read from the environment, with defaults that run on one machine."""

from typing import Any

from csp.constants import NONE, SELF

from exerati.lib import signed_reports
from exerati.settings.env import BASE_DIR, STATE_DIR, database_settings, read

env = read()

DEBUG = env.debug
SITE_URL = env.site_url.rstrip("/")
API_BASE_URL = env.api_base_url.rstrip("/") or f"{SITE_URL}/v1"
SECRET_KEY = env.secret_key.get_secret_value() or "local-only-secret-key-that-production-refuses"
KEY_PEPPER = (env.key_pepper.get_secret_value() or "local-only-key-pepper").encode()
FIELD_KEY = (env.field_key.get_secret_value() or "local-only-field-key").encode()
ALLOWED_HOSTS = [host for host in env.allowed_hosts.split(",") if host] or [
    "127.0.0.1",
    "localhost",
    "[::1]",
]
CSRF_TRUSTED_ORIGINS = [SITE_URL]

INSTALLED_APPS = [
    "exerati.apps.ExeratiConfig",
    "accounts.apps.AccountsConfig",
    "apikeys.apps.ApikeysConfig",
    "billing.apps.BillingConfig",
    "gateway.apps.GatewayConfig",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django.contrib.postgres",
    "django.forms",
    "rest_framework",
    "django_filters",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.google",
    "allauth.socialaccount.providers.github",
    "allauth.usersessions",
    "csp",
    "hijack",
    "hijack.contrib.admin",
]

MIDDLEWARE = [
    "exerati.answers.AnswersMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "servestatic.middleware.ServeStaticMiddleware",
    "exerati.private_pages.PrivatePagesMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "hijack.middleware.HijackUserMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "allauth.usersessions.middleware.UserSessionsMiddleware",
    "accounts.middleware.OrganizationMiddleware",
]

ROOT_URLCONF = "exerati.urls"
ASGI_APPLICATION = "exerati.asgi.application"
WSGI_APPLICATION = "exerati.wsgi.application"

TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "exerati.context_processors.site",
                "apikeys.context_processors.own_key",
            ],
            "builtins": ["exerati.templatetags.ui"],
        },
    },
]
FORM_RENDERER = "django.forms.renderers.TemplatesSetting"
CSRF_FAILURE_VIEW = "exerati.views.csrf_failure"

DATABASES = {"default": database_settings(str(env.database_url))}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
REDIS_URL = str(env.redis_url)
CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL}
}
SESSION_ENGINE = "django.contrib.sessions.backends.db"

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
AUTH_PASSWORD_VALIDATORS = [{"NAME": "accounts.passwords.PasswordRules"}]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/dashboard/"

ACCOUNT_ADAPTER = "accounts.adapters.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_SIGNUP_FORM_CLASS = "accounts.forms.SignupForm"
ACCOUNT_FORMS = {
    "change_password": "accounts.library_forms.PasswordChangeForm",
    "set_password": "accounts.library_forms.PasswordSetForm",
    "reset_password_from_key": "accounts.library_forms.PasswordResetForm",
}
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_EMAIL_VERIFICATION = "mandatory"
ACCOUNT_EMAIL_VERIFICATION_BY_CODE_ENABLED = True
ACCOUNT_EMAIL_VERIFICATION_SUPPORTS_RESEND = True
ACCOUNT_EMAIL_VERIFICATION_SUPPORTS_CHANGE = True
ACCOUNT_RATE_LIMITS = {
    "confirm_email": "3/3m/key"
}  # the first code, and the two more that may be asked for
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_SESSION_REMEMBER = True
ALLAUTH_TRUSTED_PROXY_COUNT = env.trusted_proxies
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_ADAPTER = "accounts.mfa.MfaAdapter"
MFA_FORMS = {
    "add_webauthn": "accounts.library_forms.PasskeyForm",
    "edit_webauthn": "accounts.library_forms.PasskeyNameForm",
}
MFA_TOTP_ISSUER = "Exerati"
STAFF_NEED_SECOND_FACTOR = False  # for the admin; production says True
HIJACK_PERMISSION_CHECK = "accounts.staff_door.may_view_as"
ACCOUNT_EMAIL_NOTIFICATIONS = True
# Sign-in with other accounts (decision 0046); a provider without both values is nowhere on the site.
SOCIALACCOUNT_ADAPTER = "accounts.social.SocialAccountAdapter"
SOCIALACCOUNT_STORE_TOKENS = False
SOCIALACCOUNT_LOGIN_ON_GET = False
SOCIALACCOUNT_EMAIL_AUTHENTICATION = False
SOCIALACCOUNT_PROVIDERS: dict[str, dict[str, Any]] = {
    "google": {
        "APP": {
            "client_id": env.google_client_id,
            "secret": env.google_client_secret.get_secret_value(),
        },
        "SCOPE": ["openid", "email"],
        "AUTH_PARAMS": {"prompt": "select_account"},
        "OAUTH_PKCE_ENABLED": True,
    },
    "github": {
        "APP": {
            "client_id": env.github_client_id,
            "secret": env.github_client_secret.get_secret_value(),
        },
        "SCOPE": ["user:email"],
        "OAUTH_PKCE_ENABLED": True,
    },
}
ACCOUNT_REAUTHENTICATION_REQUIRED = True

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_I18N = False
USE_TZ = True

STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "static"]
SERVESTATIC_USE_FINDERS = True
SERVESTATIC_AUTOREFRESH = DEBUG

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF, *env.form_targets()],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
        "manifest-src": [SELF],
    },
}
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "strict-origin-when-cross-origin"
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SAMESITE = "Lax"

EMAIL_BACKEND = {
    "console": "django.core.mail.backends.console.EmailBackend",
    "memory": "django.core.mail.backends.locmem.EmailBackend",
    "file": "django.core.mail.backends.filebased.EmailBackend",
    "smtp": "django.core.mail.backends.smtp.EmailBackend",
}[env.email_url.split(":", 1)[0]]
EMAIL_FILE_PATH = STATE_DIR / "mail"
DEFAULT_FROM_EMAIL = env.mail_from

CELERY_BROKER_URL = REDIS_URL
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BEAT_SCHEDULE_FILENAME = str(STATE_DIR / "celerybeat-schedule")
CELERY_BEAT_SCHEDULE: dict[str, dict[str, Any]] = {
    "roll up usage": {"task": "billing.roll_up", "schedule": 15.0},
    "look for due periods": {"task": "billing.look_for_due_periods", "schedule": 60.0},
    "look after invoices": {"task": "billing.look_after_invoices", "schedule": 60.0},
    "look after endings": {"task": "billing.look_after_endings", "schedule": 600.0},
    "check alerts": {"task": "billing.check_alerts", "schedule": 10.0},
    "prune refusals": {"task": "billing.prune_refusals", "schedule": 3600.0},
    "prune bodies": {"task": "billing.prune_bodies", "schedule": 600.0},
    "create partitions": {"task": "billing.create_partitions", "schedule": 3600.0},
    "prune idempotent calls": {
        "task": "gateway.prune_idempotent_calls",
        "schedule": 3600.0,
    },
    "probe components": {"task": "gateway.probe_components", "schedule": 60.0},
    "prune probes": {"task": "gateway.prune_probes", "schedule": 3600.0},
    "tell account notices": {"task": "gateway.tell_account_notices", "schedule": 30.0},
    "apply stripe events": {"task": "billing.apply_stripe_events", "schedule": 10.0},
    "poll stripe": {"task": "billing.poll_stripe", "schedule": 60.0},
    "fill wallets": {"task": "billing.fill_wallets", "schedule": 10.0},
    "draw lots": {"task": "billing.draw_lots", "schedule": 30.0},
    "reconcile": {"task": "billing.reconcile", "schedule": 3600.0},
    "refresh markups": {"task": "gateway.refresh_markups", "schedule": 60.0},
    "prune reservations": {"task": "billing.prune_reservations", "schedule": 3600.0},
}

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": [],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "UNAUTHENTICATED_USER": None,
    "DEFAULT_SCHEMA_CLASS": "billing.management_api.api_schema.ManagementSchema",  # /v1 has a document of its own
}

SPECTACULAR_SETTINGS = {
    "TITLE": "Exerati management API",
    "DESCRIPTION": "Usage, requests, balance, ledger and keys of one organization, to read.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": [],
    "SERVE_AUTHENTICATION": [],
    "SCHEMA_PATH_PREFIX": "/api",
    "PREPROCESSING_HOOKS": ["billing.management_api.api_schema.only_management"],
    "POSTPROCESSING_HOOKS": [],
}

LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "plain": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s%(request_id)s"}
    },
    "filters": {"request_id": {"()": "exerati.log_ids.RequestIdFilter"}},
    "handlers": {
        "console": {
            "class": "logging.StreamHandler",
            "formatter": "plain",
            "filters": ["request_id"],
        }
    },
    "root": {"handlers": ["console"], "level": env.log_level},
}

# Money and limits: the defaults of design.md section 10.
MARKUP_PERCENT = env.markup_percent
TRIAL_CREDIT_NANOUSD = 1_000_000_000
TRIAL_CREDIT_DAYS = 30
TOPUP_LEAST_CENTS = 500
TOPUP_MOST_CENTS = 1_000_000
TOPUP_PRESETS_CENTS = (1_000, 2_500, 10_000, 50_000)
AUTO_TOPUP_CEILING_CENTS = 1_000_000  # the highest monthly ceiling that a customer may set
REFUND_WINDOW_DAYS = 14
INVOICE_LEAST_CENTS = 100  # less is carried forward to the next invoice
INVOICE_EARLY_PERCENT = 75  # of the credit limit: billed before the month is over
# Without a key nothing can be paid and nothing asks for it. `EXERATI_STRIPE_API_BASE` points to a stand-in.
STRIPE_SECRET_KEY = env.stripe_secret_key.get_secret_value()
STRIPE_WEBHOOK_SECRET = env.stripe_webhook_secret.get_secret_value()
STRIPE_API_BASE = env.stripe_api_base.rstrip("/")
STRIPE_TAX = env.stripe_tax
STRIPE_WEBHOOK_BYTES = 256 * 1024
# Public keys of secret scanners, by their identifiers; without any, nobody can report a leaked key to /leaks/report.
LEAK_REPORT_KEYS = signed_reports.read_keys(env.leak_report_keys)
KEY_BUDGET_SUGGESTED_NANOUSD = 50_000_000_000
ALERT_SPIKE_TIMES = 30
ALERT_SPIKE_FLOOR_NANOUSD = 5_000_000_000
KEY_DEFAULT_RPM = 600
KEY_DEFAULT_TPM = 1_000_000
KEY_DEFAULT_CONCURRENCY = 100
COMMITS_MUST_BE_DURABLE = False  # a database of tests may be quick and forgetful
LEASE_SECONDS = 20
LEASE_RENEW_SECONDS = 5
LEASE_STALE_SECONDS = 15
SWEEP_SECONDS = 5
DRAIN_SECONDS = env.drain_seconds
PAGE_STATEMENT_SECONDS = env.page_statement_seconds
MAX_BODY_BYTES = 32 * 1024 * 1024
MAX_JSON_DEPTH = 64
MAX_MESSAGES = 5_000
MAX_TOOLS = 512
HEADER_SECONDS = 10
BODY_SECONDS = 60
UPSTREAM_CONNECT_SECONDS = 5
UPSTREAM_FIRST_BYTE_SECONDS = 300
UPSTREAM_IDLE_SECONDS = 120
UPSTREAM_LAST_WORD_SECONDS = 15  # for usage and the end, once a stream has said why it ends
UPSTREAM_MAX_WHOLE_BYTES = 64 * 1024 * 1024
UPSTREAM_MAX_STREAM_BYTES = 512 * 1024 * 1024
UPSTREAM_RETRIES = 2
ROUTE_STATS_SECONDS = 10
COUNT_TOKENS_SECONDS = 10  # for a provider that counts the tokens of a prompt; then we do
CALL_SECONDS = 3_600  # the longest any call may take; `x-exerati-timeout` shortens it
KEEPALIVE_SECONDS = 15
SLOW_READER_SECONDS = 60
SETTLE_WAIT_SECONDS = 0.25
KEY_SNAPSHOT_SECONDS = 2
CATALOG_SNAPSHOT_SECONDS = 5
GATEWAY_PROCESSES = 2

"""What the management API takes and tells: parameters and rows, for checking, writing and the schema."""

from rest_framework import serializers

from billing.read_models.reports import GROUPS

BUCKETS = {"1m": "minute", "1h": "hour", "1d": "day"}
MAX_BUCKETS = {"1m": 1_440, "1h": 744, "1d": 400}
DEFAULT_BUCKETS = {"1m": 60, "1h": 24, "1d": 31}
NANOUSD_HELP = "nano-USD, 1e-9 of a dollar"


class OrganizationQuery(serializers.Serializer[None]):
    """What every endpoint takes under a session; a key has its organization."""

    organization = serializers.CharField(
        required=False, help_text="Slug or id; needed by members of several organizations."
    )


class RangeQuery(OrganizationQuery):
    """A range of time and what to leave out of it."""

    start = serializers.DateTimeField(required=False, help_text="First moment, with its offset.")
    end = serializers.DateTimeField(required=False, help_text="First moment after.")
    model = serializers.CharField(required=False)
    key = serializers.CharField(required=False, help_text="Id of a key (`key_…`).")
    project = serializers.CharField(required=False, help_text="Id of a project (`proj_…`).")
    member = serializers.CharField(required=False, help_text="Id of a membership (`mem_…`).")
    tag = serializers.CharField(required=False)
    mode = serializers.ChoiceField(required=False, choices=["live", "test"])


class UsageQuery(RangeQuery):
    """The sums to be made."""

    group_by = serializers.ChoiceField(required=False, choices=GROUPS)
    bucket_width = serializers.ChoiceField(required=False, choices=list(BUCKETS), default="1d")
    time_zone = serializers.CharField(
        required=False, help_text="Where days begin; the organization's unless told."
    )
    limit = serializers.IntegerField(required=False, min_value=1, help_text="Buckets of a page.")
    page = serializers.DateTimeField(required=False, help_text="`next_page` of the page before.")

    def validate(self, attrs: dict[str, object]) -> dict[str, object]:
        """Hold the number of buckets to what their width allows."""
        width = str(attrs["bucket_width"])
        limit = attrs.setdefault("limit", DEFAULT_BUCKETS[width])
        if isinstance(limit, int) and limit > MAX_BUCKETS[width]:
            most = f"At most {MAX_BUCKETS[width]} buckets of {width} fit on a page."
            raise serializers.ValidationError({"limit": most})
        return attrs


class RequestsQuery(RangeQuery):
    """The requests to be listed."""

    status = serializers.RegexField(
        r"^(ok|error|4xx|5xx|[1-5][0-9][0-9])$", required=False, help_text="ok, error, 4xx or 503"
    )
    page = serializers.CharField(required=False, help_text="`next_page` of the page before.")


class PageQuery(OrganizationQuery):
    """A place in a list."""

    page = serializers.CharField(required=False, help_text="`next_page` of the page before.")
    limit = serializers.IntegerField(required=False, min_value=1, max_value=100, default=50)


class Page(serializers.Serializer[None]):
    """What every list says of its next page."""

    has_more = serializers.BooleanField()
    next_page = serializers.CharField(allow_null=True)


class Used(serializers.Serializer[None]):
    """What a call, or calls together, used and cost."""

    input_tokens = serializers.IntegerField()
    output_tokens = serializers.IntegerField()
    cache_read_tokens = serializers.IntegerField()
    reasoning_tokens = serializers.IntegerField()
    charge_nanousd = serializers.IntegerField(help_text=NANOUSD_HELP)
    charge_usd = serializers.CharField(help_text="The same in dollars, exact.")
    price_nanousd = serializers.IntegerField(help_text="What the rates give, also for test keys.")


class UsageResult(Used):
    """The sums of one group in one bucket."""

    group = serializers.CharField(allow_null=True, help_text="Id of the group; null without one.")
    name = serializers.CharField(allow_null=True)
    requests = serializers.IntegerField()
    errors = serializers.IntegerField()  # type: ignore[assignment]  # as the wire names it
    audio_tokens = serializers.IntegerField()
    image_tokens = serializers.IntegerField()


class UsageBucket(serializers.Serializer[None]):
    """One bucket of time."""

    start = serializers.DateTimeField()
    end = serializers.DateTimeField()
    results = UsageResult(many=True)


class UsagePage(Page):
    """Buckets in the order of time."""

    time_zone = serializers.CharField()
    data = UsageBucket(many=True)  # type: ignore[assignment]  # as the wire names it


class RequestRow(Used):
    """One admitted call."""

    id = serializers.CharField()
    created_at = serializers.DateTimeField()
    model = serializers.CharField()
    endpoint = serializers.CharField()
    key = serializers.CharField(allow_null=True)
    project = serializers.CharField()
    mode = serializers.CharField()
    status = serializers.IntegerField()
    outcome = serializers.CharField()
    basis = serializers.CharField()
    error_code = serializers.CharField(allow_null=True)
    streamed = serializers.BooleanField()
    service_tier = serializers.CharField(
        allow_null=True, help_text="The tier whose rates hold; null for the ordinary one."
    )
    first_token_ms = serializers.IntegerField(allow_null=True)
    duration_ms = serializers.IntegerField(allow_null=True)
    tags = serializers.ListField(child=serializers.CharField())


class RequestPage(Page):
    """Calls, newest first."""

    data = RequestRow(many=True)  # type: ignore[assignment]  # as the wire names it


class BudgetRow(serializers.Serializer[None]):
    """One cap and how full it is."""

    scope = serializers.CharField()
    name = serializers.CharField()
    id = serializers.CharField(allow_null=True)
    period = serializers.CharField()
    cap_nanousd = serializers.IntegerField()
    spent_nanousd = serializers.IntegerField()
    held_nanousd = serializers.IntegerField()
    ends_at = serializers.DateTimeField(allow_null=True)


class Balance(serializers.Serializer[None]):
    """What an organization has, and its caps."""

    organization = serializers.CharField()
    plan = serializers.CharField()
    balance_nanousd = serializers.IntegerField(help_text="Credited less charged.")
    balance_usd = serializers.CharField()
    held_nanousd = serializers.IntegerField(help_text="Reserved by calls that are running.")
    available_nanousd = serializers.IntegerField()
    budgets = BudgetRow(many=True)


class LedgerRow(serializers.Serializer[None]):
    """One posting from one account to another."""

    id = serializers.CharField()
    created_at = serializers.DateTimeField()
    kind = serializers.CharField()
    debit = serializers.CharField(help_text="The account the amount is taken from.")
    credit = serializers.CharField(help_text="The account the amount is added to.")
    amount_nanousd = serializers.IntegerField(help_text=NANOUSD_HELP)
    amount_usd = serializers.CharField()


class LedgerPage(Page):
    """Postings, newest first."""

    data = LedgerRow(many=True)  # type: ignore[assignment]  # as the wire names it


class KeyRow(serializers.Serializer[None]):
    """One API key, without its secret."""

    id = serializers.CharField()
    name = serializers.CharField()
    shown = serializers.CharField(help_text="What the key is recognised by.")
    mode = serializers.CharField()
    status = serializers.CharField()
    project = serializers.CharField()
    owner = serializers.CharField(allow_null=True)
    created_at = serializers.DateTimeField()
    last_used_at = serializers.DateTimeField(allow_null=True)
    expires_at = serializers.DateTimeField(allow_null=True)
    endpoints = serializers.ListField(child=serializers.CharField())
    model_patterns = serializers.ListField(child=serializers.CharField())
    budgets_nanousd = serializers.DictField(child=serializers.IntegerField())


class KeyPage(Page):
    """Keys, newest first."""

    data = KeyRow(many=True)  # type: ignore[assignment]  # as the wire names it


class ErrorDetail(serializers.Serializer[None]):
    """What went wrong."""

    message = serializers.CharField()
    type = serializers.CharField()
    code = serializers.CharField()
    param = serializers.CharField(allow_null=True)


class ErrorAnswer(serializers.Serializer[None]):
    """Every error, in the envelope of /v1."""

    error = ErrorDetail()

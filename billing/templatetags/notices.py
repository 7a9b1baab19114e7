"""What the rail of every dashboard page shows of notifications."""

from django import template

from billing.alerting import notices

register = template.Library()


@register.simple_tag(takes_context=True)
def unread_notices(context: template.Context) -> str:
    """
    Return how many notifications the visitor has not read, "" for none; one query a page.

    Who has no organization yet has no notifications either.
    """
    request = context["request"]
    if request.organization is None:
        return ""
    return notices.count_text(notices.unread_count(request.organization, user=request.user))

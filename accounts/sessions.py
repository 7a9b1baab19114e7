"""The browsers that somebody is signed in with: named by a handle that tells nothing, and ended one by one."""

from allauth.usersessions.adapter import get_adapter
from allauth.usersessions.models import UserSession
from django.http import Http404
from django.utils.crypto import constant_time_compare, salted_hmac

from accounts.models import User

HANDLE_LENGTH = 24


def handle_of(session: UserSession) -> str:
    """Return what stands for a session in a page; neither its number nor its key leave the server."""
    return salted_hmac("accounts.sessions", str(session.pk), algorithm="sha256").hexdigest()[
        :HANDLE_LENGTH
    ]


def end(user: User, *, handle: str) -> UserSession:
    """Sign one browser of a person out, and return what it was; raises Http404 where no session has the handle."""
    for session in UserSession.objects.filter(user=user):
        if constant_time_compare(handle_of(session), handle):
            get_adapter().end_sessions([session])
            return session
    raise Http404

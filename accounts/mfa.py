"""What Exerati adds to allauth's second factors: their secrets are sealed at rest, under the server's field key."""

import base64

from allauth.core import context
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator

from accounts import devices
from accounts.models import User
from exerati.lib import encryption

CONTEXT = "second factor"


class MfaAdapter(DefaultMFAAdapter):  # type: ignore[misc]  # allauth ships no types
    """Named by the setting MFA_ADAPTER."""

    def encrypt(self, text: str) -> str:
        """Return the seed of codes as it is stored."""
        return base64.b64encode(encryption.encrypt(text, context=CONTEXT)).decode()

    def decrypt(self, encrypted_text: str) -> str:
        """Return the seed of codes; raises CannotDecrypt."""
        return encryption.decrypt(base64.b64decode(encrypted_text), context=CONTEXT)

    def generate_authenticator_name(self, user: User, type: Authenticator.Type) -> str:
        """Return what a new passkey is called if nobody says more: the browser that it is made with."""
        return devices.name_of(context.request.headers.get("User-Agent", ""))

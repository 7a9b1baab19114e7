"""What Exerati adds to allauth's second factors: their secrets are sealed at rest, under the server's field key."""

import base64

from allauth.mfa.adapter import DefaultMFAAdapter

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

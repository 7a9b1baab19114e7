"""What a password must be: Django's four rules as one, so that forms tell them in one sentence."""

from django.contrib.auth.password_validation import (
    CommonPasswordValidator,
    MinimumLengthValidator,
    NumericPasswordValidator,
    UserAttributeSimilarityValidator,
)
from django.core.exceptions import ValidationError

from accounts.models import User

LEAST_CHARACTERS = 8


class PasswordRules:
    """Named by the setting AUTH_PASSWORD_VALIDATORS."""

    def __init__(self) -> None:
        self._rules = (
            UserAttributeSimilarityValidator(),
            MinimumLengthValidator(LEAST_CHARACTERS),
            CommonPasswordValidator(),
            NumericPasswordValidator(),
        )

    def validate(self, password: str, user: User | None = None) -> None:
        """Raise ValidationError with every rule that the password breaks."""
        broken: list[ValidationError] = []
        for rule in self._rules:
            try:
                rule.validate(password, user)
            except ValidationError as error:
                broken.append(error)
        if broken:
            raise ValidationError(broken)

    def get_help_text(self) -> str:
        """Return the rules as a hint below the field."""
        return (
            f"At least {LEAST_CHARACTERS} characters, not digits alone, nothing that many people use,"
            " and unlike your name and address."
        )

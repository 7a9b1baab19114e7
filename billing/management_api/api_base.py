"""What the endpoints of the management API have in common: who asks, what may be asked, and one shape of error."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar, cast

from django.http import Http404
from rest_framework import serializers
from rest_framework.exceptions import (
    APIException,
    ErrorDetail,
    NotAuthenticated,
    NotFound,
    ValidationError,
)
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import Organization
from apikeys.management import ManagementKey, MemberSession

Query = TypeVar("Query", bound=serializers.Serializer[Any])


class ManagementView(APIView):
    """One endpoint, to read for a management key or a member's session."""

    authentication_classes = [ManagementKey, MemberSession]
    http_method_names = ["get", "head", "options"]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Let nobody in without an organization."""
        super().initial(request, *args, **kwargs)
        if cast(object, request.user) is None:
            raise NotAuthenticated

    def finalize_response(
        self, request: Request, response: Response, *args: Any, **kwargs: Any
    ) -> Response:
        """Keep answers out of every cache."""
        finished = super().finalize_response(request, response, *args, **kwargs)
        finished["Cache-Control"] = "no-store"
        return finished

    def get_exception_handler(self) -> Any:
        """Return the writer of errors."""
        return error_answer


def organization_of(request: Request) -> Organization:
    """Return whose rows are asked for."""
    return cast(Organization, cast(object, request.user))


def checked(request: Request, query: type[Query]) -> Mapping[str, Any]:
    """Return the parameters; raises ValidationError, also for one that nobody knows."""
    found = query(data=request.query_params)
    unknown = set(request.query_params) - set(found.fields)
    if unknown:
        raise ValidationError({min(unknown): f"There is no such parameter: {min(unknown)}."})
    found.is_valid(raise_exception=True)
    return cast(Mapping[str, Any], found.validated_data)


def error_answer(error: Exception, context: Mapping[str, Any]) -> Response | None:
    """Return an error in the envelope of /v1; what is no error of the request is left to Django."""
    if isinstance(error, Http404):
        error = NotFound()
    if not isinstance(error, APIException):
        return None
    param, detail = _first(error.detail)
    code = "invalid_parameter" if isinstance(error, ValidationError) else _code(error)
    body = {
        "message": str(detail),
        "type": "invalid_request_error" if error.status_code < 500 else "server_error",
        "code": code,
        "param": param,
    }
    asks = getattr(error, "auth_header", None)
    headers = {"WWW-Authenticate": str(asks)} if asks else {}
    return Response({"error": body}, status=error.status_code, headers=headers)


def _code(error: APIException) -> str:
    codes = error.get_codes()
    code = codes if isinstance(codes, str) else error.default_code
    return {"not_authenticated": "missing_api_key"}.get(code, code)


def _first(detail: Any, param: str | None = None) -> tuple[str | None, ErrorDetail | str]:
    """Return the first thing that is wrong, and of which parameter."""
    if isinstance(detail, Mapping):
        name, inner = next(iter(detail.items()))
        return _first(inner, None if name == "non_field_errors" else name)
    if isinstance(detail, Sequence) and not isinstance(detail, str):
        return _first(detail[0], param)
    return param, detail

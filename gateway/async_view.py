"""AsyncAPIView: Django REST framework's dispatch with `await`, and nothing else changed but what /v1 never uses."""

from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

from django.http import HttpResponseBase
from rest_framework.views import APIView

from apikeys.authentication import authenticate
from apikeys.snapshots import KeySnapshot
from gateway import errors
from gateway.context import CallContext, ErrorBody
from gateway.errors import endpoint_not_allowed, method_not_allowed

Handler = Callable[..., Awaitable[HttpResponseBase]]


class AsyncAPIView(APIView):
    """
    One endpoint of /v1: authentication by key and endpoint scope here, for every route alike.

    Content negotiation, parsers and renderers of the framework are passed by: bodies are read by
    `gateway.json_body`, answers are bytes already. Exceptions go up to the ASGI handler, which has the one table
    of errors.
    """

    endpoint: ClassVar[str] = ""  # as a key's scope names it; "" is open to every key
    not_supported: ClassVar[frozenset[str]] = frozenset()  # methods of OpenAI's that we lack here
    is_public: ClassVar[bool] = False  # open to everybody, without a key
    error_body: ClassVar[ErrorBody] = staticmethod(errors.body)
    authentication_classes = ()
    permission_classes = ()
    throttle_classes = ()

    async def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> HttpResponseBase:  # type: ignore[override]  # awaited
        """Authenticate, check the key's endpoint scope, and run the method's handler."""
        self.args, self.kwargs = args, kwargs
        self.request = request
        context: CallContext = request.call_context
        context.error_body = self.error_body
        context.endpoint, context.path = self.endpoint, request.path
        if not self.is_public:
            self.key = context.key = await self.authenticate(context)
            if self.endpoint and not self.key.allows_endpoint(self.endpoint):
                raise endpoint_not_allowed(request.path)
        method = request.method.lower()
        if method not in self.http_method_names or not hasattr(self, method):
            if request.method in self.not_supported:
                raise errors.not_supported(f"{request.method} {request.path}")
            raise method_not_allowed(request.method, allowed=self.allowed_methods)
        handler: Handler = getattr(self, method)
        return await self.handle(context, handler, **kwargs)

    async def handle(
        self, context: CallContext, handler: Handler, **kwargs: Any
    ) -> HttpResponseBase:
        """Run the method's handler."""
        return await handler(context, **kwargs)

    async def authenticate(self, context: CallContext) -> KeySnapshot:
        """Return the request's key, or the seat of the session it comes from; raises a kind of AuthenticationFailed."""
        if context.seat is not None:
            return context.seat
        return await authenticate(
            context.headers,
            client_address=context.client_address,
            directory=context.engine.keys,
            pepper=context.engine.pepper,
        )

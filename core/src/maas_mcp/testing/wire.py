"""An in-process HTTP transport with timeouts and broken connections, which httpx's own ASGI transport lacks."""

import anyio
import httpx
from starlette.types import ASGIApp


class InProcessWire(httpx.AsyncBaseTransport):
    """Passes requests to an ASGI application."""

    def __init__(self, app: ASGIApp) -> None:
        self._asgi = httpx.ASGITransport(app)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request and wait for the response up to the client's timeout.

        Raises:
            httpx.ReadTimeout: The response takes longer.
            httpx.ReadError: The application closed the connection.
        """
        failure: httpx.TransportError | None = None
        with anyio.move_on_after(request.extensions["timeout"]["read"]):
            try:
                return await self._asgi.handle_async_request(request)
            except ConnectionResetError as error:
                failure = httpx.ReadError(str(error), request=request)
        raise failure or httpx.ReadTimeout("no response in time", request=request)

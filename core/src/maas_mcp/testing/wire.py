"""What carries requests to a region in the same process: as a network would, with its timeouts and broken connections.

httpx's own transport for applications knows neither.
"""

import anyio
import httpx
from starlette.types import ASGIApp


class InProcessWire(httpx.AsyncBaseTransport):
    """Hands requests to an application."""

    def __init__(self, app: ASGIApp) -> None:
        self._asgi = httpx.ASGITransport(app)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Carry one request, for as long as its client is willing to wait.

        Raises:
            httpx.ReadTimeout: The answer takes longer.
            httpx.ReadError: The application broke the connection.
        """
        try:
            with anyio.fail_after(request.extensions["timeout"]["read"]):
                return await self._asgi.handle_async_request(request)
        except TimeoutError:
            failure: httpx.TransportError = httpx.ReadTimeout("no answer in time", request=request)
        except ConnectionResetError as error:
            failure = httpx.ReadError(str(error), request=request)
        raise failure

"""A small asynchronous MCP client over HTTP that costs little compared with the servers that it measures."""

import itertools
import json
from typing import Any

import anyio
from anyio.abc import ByteStream
from anyio.streams.buffered import BufferedByteReceiveStream

LEGACY = "2025-11-25"
HEAD_LIMIT = 65_536


class HttpSession:
    """One session of a client before 2026-07-28, over one connection.

    Args:
        port: The server's port on 127.0.0.1.
        token: The bearer token, if the server wants one.
    """

    def __init__(self, port: int, token: str = "") -> None:
        self._port = port
        self._token = token
        self.progress = 0
        """Progress messages that have arrived."""
        self._id = ""
        self._ids = itertools.count(1)
        self._stream: ByteStream | None = None
        self._reader: BufferedByteReceiveStream | None = None

    async def open(self) -> None:
        """Connect and shake hands."""
        hello = {"protocolVersion": LEGACY, "capabilities": {}, "clientInfo": {"name": "load", "version": "1"}}
        await self.request("initialize", hello)
        await self._post({"method": "notifications/initialized"})

    async def close(self, *, end_session: bool = True) -> None:
        """End the session and close the connection."""
        if end_session:
            await self._exchange(b"DELETE", b"")
        if self._stream is not None:
            await self._stream.aclose()

    async def call(self, tool: str, token: str | None = None, **arguments: Any) -> list[dict[str, Any]]:
        """Call a tool. Returns all messages; the response comes last."""
        meta = {} if token is None else {"_meta": {"progressToken": token}}
        return await self.request("tools/call", {"name": tool, "arguments": arguments, **meta})

    async def request(self, method: str, params: dict[str, Any]) -> list[dict[str, Any]]:
        """Send a request. Returns all messages; the response comes last."""
        messages = await self._post({"id": next(self._ids), "method": method, "params": params})
        if "result" not in messages[-1] or messages[-1]["result"].get("isError"):
            raise RuntimeError(str(messages[-1])[:1000])
        return messages

    async def _post(self, message: dict[str, Any]) -> list[dict[str, Any]]:
        body = await self._exchange(b"POST", json.dumps({"jsonrpc": "2.0", **message}).encode())
        lines = [line for line in body.splitlines() if line]
        data = [line.removeprefix(b"data: ") for line in lines if line.startswith(b"data: {")] or lines
        return [json.loads(line) for line in data]

    async def _exchange(self, method: bytes, body: bytes) -> bytes:
        fresh = self._stream is None
        if self._stream is None:
            self._stream = await anyio.connect_tcp("127.0.0.1", self._port)
            self._reader = BufferedByteReceiveStream(self._stream)
        assert self._reader is not None
        try:
            await self._stream.send(self._head(method, len(body)) + body)
            head = (await self._reader.receive_until(b"\r\n\r\n", HEAD_LIMIT)).decode("latin-1").lower()
        except (anyio.IncompleteRead, anyio.BrokenResourceError):
            if fresh:
                raise
            await self._stream.aclose()
            self._stream = None  # uvicorn closes a connection that was not used for five seconds
            return await self._exchange(method, body)
        status = int(head.split(" ", 2)[1])
        headers = dict(line.split(": ", 1) for line in head.split("\r\n")[1:])
        self._id = headers.get("mcp-session-id", self._id)
        content = await self._body(headers)
        if status >= 300:
            raise RuntimeError(f"{status} {content[:500]!r}")
        return content

    def _head(self, method: bytes, length: int) -> bytes:
        lines = [
            f"{method.decode()} /mcp HTTP/1.1",
            f"Host: 127.0.0.1:{self._port}",
            "Content-Type: application/json",
            "Accept: application/json, text/event-stream",
            f"Content-Length: {length}",
        ]
        if self._token:
            lines.append(f"Authorization: Bearer {self._token}")
        if self._id:
            lines += [f"Mcp-Session-Id: {self._id}", f"Mcp-Protocol-Version: {LEGACY}"]
        return ("\r\n".join(lines) + "\r\n\r\n").encode()

    async def _body(self, headers: dict[str, str]) -> bytes:
        assert self._reader is not None
        if "content-length" in headers:
            return await self._reader.receive_exactly(int(headers["content-length"]))
        parts = []
        while size := int(await self._reader.receive_until(b"\r\n", HEAD_LIMIT), 16):
            parts.append(await self._reader.receive_exactly(size))
            self.progress += parts[-1].count(b'"notifications/progress"')
            await self._reader.receive_exactly(2)
        await self._reader.receive_exactly(2)
        return b"".join(parts)

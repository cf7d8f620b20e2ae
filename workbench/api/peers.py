"""Which process calls on the Studio's socket: the kernel says so, and no caller can."""

import asyncio
import socket
import struct

from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from workbench.security.guard import SOCKET

_CREDENTIALS = struct.Struct("3i")


class PeerProtocol(H11Protocol):
    """HTTP whose client is, on a Unix socket, the number of the process that connected."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See `asyncio.Protocol`."""
        super().connection_made(transport)
        self.client = _client(transport) or self.client


class PeerSocket(WebSocketsSansIOProtocol):
    """A WebSocket whose client is the same."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See `asyncio.Protocol`."""
        super().connection_made(transport)
        self.client = _client(transport) or self.client


def _client(transport: asyncio.Transport) -> tuple[str, int] | None:
    reached = transport.get_extra_info("socket")
    if reached is None or reached.family != socket.AF_UNIX:
        return None
    return SOCKET, _peer(reached)


def _peer(reached: socket.socket) -> int:
    """The process that connected; 0 where the system does not say."""
    if not hasattr(socket, "SO_PEERCRED"):
        return 0
    told = reached.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return int(_CREDENTIALS.unpack(told)[0])

"""The sockets of documents: who may come in is asked as everywhere, then the room takes over."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from fastapi import FastAPI, WebSocket
from starlette.websockets import WebSocketDisconnect, WebSocketState

from workbench.core import Actor, Context, Engines, WorkbenchError
from workbench.documents import LiveRooms, rooms
from workbench.documents.rooms import Peer
from workbench.security.guard import Guard, check_origin

NOT_FOUND, REFUSED = 4404, 4403
"""Closing codes of a socket (RFC 6455, section 7.4.2): what is asked for cannot be had."""


def add_rooms(
    app: FastAPI,
    engines: Engines,
    guard: Guard,
    resolve: Callable[[Actor, str | None], Awaitable[str]],
) -> LiveRooms:
    """The route of the rooms, and the rooms.

    Args:
        app: The Studio's application.
        engines: What the process has opened; the rooms are put there.
        guard: Turns a request into an actor.
        resolve: An actor and a project's name → its id.
    """
    live = LiveRooms(engines)
    engines.put(rooms, live)

    @app.websocket("/api/v1/documents/room")
    async def room(socket: WebSocket, id: str, project: str = "") -> None:
        """A document's room: y-websocket's messages, see `workbench.documents.wire`."""
        try:
            check_origin(socket, engines.settings.names)
            who = await guard.identify(socket)
            ctx = Context(who.actor, await resolve(who.actor, project or None), engines)
            peer, there = await live.enter(ctx, id)
        except WorkbenchError as error:
            # Only an accepted socket can tell a browser why it is closed.
            await socket.accept()
            code = NOT_FOUND if error.status == 404 else REFUSED
            await socket.close(code, str(error)[:120])
            return
        await socket.accept()
        sending = asyncio.create_task(_send(socket, peer))
        try:
            while True:
                message = await socket.receive()
                if message["type"] == "websocket.disconnect":
                    break
                if (data := message.get("bytes")) is not None:
                    await live.received(peer, there, data)
        except (WebSocketDisconnect, RuntimeError):
            pass  # The other side is gone: that is how a window leaves.
        finally:
            peer.let_go()
            with contextlib.suppress(asyncio.CancelledError):
                await sending
            await live.leave(peer, there)

    return live


async def _send(socket: WebSocket, peer: Peer) -> None:
    try:
        while (message := await peer.outbox.get()) is not None:
            await socket.send_bytes(message)
        if socket.application_state is WebSocketState.CONNECTED:
            await socket.close()
    except (WebSocketDisconnect, RuntimeError):
        peer.leaving = True

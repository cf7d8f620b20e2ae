"""Passing a request on: HTTP and WebSocket, byte for byte, until either side ends it."""

import asyncio
import contextlib
from collections.abc import Callable

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Header fields of one connection (RFC 9110, section 7.6.1)."""

TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=10)
Kept = Callable[[str, str], str | None]
"""A header's name and value → the value that is passed on; None leaves the header out."""


def client(connector: aiohttp.BaseConnector) -> aiohttp.ClientSession:
    """A client that changes nothing: no cookies, no decompression, no redirects followed."""
    return aiohttp.ClientSession(
        connector=connector,
        timeout=TIMEOUT,
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
    )


def is_websocket(request: web.BaseRequest) -> bool:
    """Whether the request asks for a WebSocket."""
    return request.headers.get("upgrade", "").lower() == "websocket"


async def relay(
    request: web.BaseRequest,
    through: aiohttp.ClientSession,
    to: str,
    headers: CIMultiDict[str],
    kept: Kept,
) -> web.StreamResponse:
    """Pass a request on, and its answer back.

    Args:
        request: The request.
        through: A client that reaches the other side.
        to: Its origin, without a slash at the end.
        headers: The request's header fields as the other side gets them.
        kept: What becomes of each header field of the answer.

    Raises:
        aiohttp.ClientError: The other side cannot be reached, or broke off before it answered.
    """
    url = URL(to + request.raw_path, encoded=True)
    if is_websocket(request):
        return await _websocket(request, through, url, headers)
    body = request.content if request.body_exists else None
    async with through.request(
        request.method, url, headers=headers, data=body, allow_redirects=False
    ) as answer:
        response = web.StreamResponse(status=answer.status, reason=answer.reason)
        for name, value in answer.headers.items():
            if name.lower() not in HOP and (new := kept(name, value)) is not None:
                response.headers.add(name, new)
        await response.prepare(request)
        if request.method != "HEAD":
            async for piece in answer.content.iter_any():
                await response.write(piece)
        await response.write_eof()
        return response


def passed_on(request: web.BaseRequest) -> CIMultiDict[str]:
    """The request's header fields without those of its connection."""
    return CIMultiDict((k, v) for k, v in request.headers.items() if k.lower() not in HOP)


async def _websocket(
    request: web.BaseRequest, through: aiohttp.ClientSession, url: URL, headers: CIMultiDict[str]
) -> web.StreamResponse:
    for name in [n for n in headers if n.lower().startswith("sec-websocket-")]:
        headers.popall(name, None)
    wanted = request.headers.get("sec-websocket-protocol", "")
    protocols = [each.strip() for each in wanted.split(",") if each.strip()]
    async with through.ws_connect(
        url, headers=headers, protocols=protocols, max_msg_size=0, autoping=False, autoclose=False
    ) as there:
        here = web.WebSocketResponse(
            protocols=[there.protocol] if there.protocol else (),
            max_msg_size=0,
            autoping=False,
            autoclose=False,
            compress=False,
        )
        await here.prepare(request)
        pumps = [asyncio.create_task(_pump(here, there)), asyncio.create_task(_pump(there, here))]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            with contextlib.suppress(ConnectionError, RuntimeError):
                await asyncio.wait_for(here.close(), 2)
        return here


async def _pump(
    source: web.WebSocketResponse | aiohttp.ClientWebSocketResponse,
    target: web.WebSocketResponse | aiohttp.ClientWebSocketResponse,
) -> None:
    with contextlib.suppress(ConnectionError):
        async for message in source:
            if message.type == aiohttp.WSMsgType.TEXT:
                await target.send_str(message.data)
            elif message.type == aiohttp.WSMsgType.BINARY:
                await target.send_bytes(message.data)
            elif message.type == aiohttp.WSMsgType.PING:
                await target.ping(message.data)
            elif message.type == aiohttp.WSMsgType.PONG:
                await target.pong(message.data)
            else:
                break
        if not target.closed:
            await target.close(code=source.close_code or 1000)

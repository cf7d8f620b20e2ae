"""What goes over a room's socket: the messages of y-websocket, and four of the Studio's.

https://github.com/yjs/y-protocols/blob/master/PROTOCOL.md; numbers are lib0's variable ones.
"""

import json
from typing import Any, NamedTuple

from pycrdt import Decoder, write_message, write_var_uint

SYNC, AWARENESS = 0, 1
ACKNOWLEDGED, MEANING, NOTICE, HELLO = 100, 101, 102, 103
STEP1, STEP2, UPDATE = 0, 1, 2


class Presence(NamedTuple):
    """Where one window is: a client's state, with the number of its change."""

    client: int
    clock: int
    state: dict[str, Any] | None
    """None: it is gone."""


class Garbled(ValueError):
    """A message that is none."""


def step1(state: bytes) -> bytes:
    """Ask for what somebody with this state vector lacks."""
    return bytes([SYNC, STEP1]) + write_message(state)


def step2(update: bytes) -> bytes:
    """Answer that."""
    return bytes([SYNC, STEP2]) + write_message(update)


def update(body: bytes) -> bytes:
    """An edit."""
    return bytes([SYNC, UPDATE]) + write_message(body)


def acknowledged(count: int, seq: int) -> bytes:
    """How many of a connection's edits are on the disk, and the number the document has."""
    return bytes([ACKNOWLEDGED]) + write_var_uint(count) + write_var_uint(seq)


def told(kind: int, body: Any) -> bytes:
    """A message of the Studio's whose body is JSON."""
    return bytes([kind]) + write_message(json.dumps(body, ensure_ascii=False).encode())


def present(states: list[Presence]) -> bytes:
    """Where windows are."""
    body = write_var_uint(len(states))
    for each in states:
        text = json.dumps(each.state, ensure_ascii=False).encode()
        body += write_var_uint(each.client) + write_var_uint(each.clock) + write_message(text)
    return bytes([AWARENESS]) + write_message(body)


def read(message: bytes) -> tuple[int, int, bytes]:
    """A message's kind, its step if it is of the synchronisation, and its body.

    Raises:
        Garbled: It is none.
    """
    try:
        decoder = Decoder(message)
        kind = decoder.read_var_uint()
        step = decoder.read_var_uint() if kind == SYNC else 0
        body = decoder.read_message() or b""
    except (IndexError, RuntimeError) as error:
        raise Garbled(f"{len(message)} bytes that are no message") from error
    return kind, step, body


def read_numbers(body: bytes) -> tuple[int, int]:
    """What an acknowledgement says: how many edits of the connection, and the number.

    Raises:
        Garbled: It says nothing.
    """
    try:
        decoder = Decoder(body)
        return decoder.read_var_uint(), decoder.read_var_uint()
    except (IndexError, RuntimeError) as error:
        raise Garbled("no acknowledgement") from error


def read_presence(body: bytes) -> list[Presence]:
    """What a message about presence says.

    Raises:
        Garbled: It says nothing.
    """
    try:
        decoder, found = Decoder(body), []
        for _ in range(decoder.read_var_uint()):
            client, clock = decoder.read_var_uint(), decoder.read_var_uint()
            state = json.loads(decoder.read_var_string())
            found.append(Presence(client, clock, state if isinstance(state, dict) else None))
    except (IndexError, RuntimeError, ValueError) as error:
        raise Garbled("no presence") from error
    return found

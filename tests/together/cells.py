"""A browser's window at a kernel, without a browser: it asks for cells and takes in what comes."""

import contextlib
import json
import time
from typing import Any
from uuid import uuid4

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

from tests.hostile.members import Inside
from tests.together.peers import until


def notebook(*sources: str) -> dict[str, Any]:
    """A notebook whose cells are called a, b, c and so on."""
    cells = [
        {
            **{"cell_type": "code", "id": chr(ord("a") + i), "source": source},
            **{"metadata": {}, "outputs": [], "execution_count": None},
        }
        for i, source in enumerate(sources)
    ]
    kernel = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    metadata = {"kernelspec": kernel}
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": metadata, "cells": cells}


def text_of(outputs: list[dict[str, Any]]) -> str:
    """What outputs say, one after the other."""
    told = ""
    for each in outputs:
        for part in (each.get("text"), each.get("data", {}).get("text/plain")):
            told += "".join(part) if part else ""
        told += "\n".join([each.get("evalue", ""), *each.get("traceback", [])])
    return told


class Window:
    """One window with a notebook that runs in a kernel.

    Args:
        inside: Somebody in the project's Lab.
        path: The notebook.
    """

    def __init__(self, inside: Inside, path: str) -> None:
        self.inside, self.path, self.id = inside, path, uuid4().hex
        asked = {"path": path, "name": path, "type": "notebook", "kernel": {"name": "python3"}}
        session = inside.ask("POST", "api/sessions", json=asked).raise_for_status().json()
        self.kernel = str(session["kernel"]["id"])
        self.taken: list[dict[str, Any]] = []
        self.socket: ClientConnection | None = None
        self.connect()

    def connect(self) -> "Window":
        """Come to the kernel, for the first time or again."""
        path = f"api/kernels/{self.kernel}/channels?session_id={self.id}"
        self.socket = self.inside.socket(path, open_timeout=60)
        return self

    def run(self, cell: str, code: str) -> str:
        """Ask for a cell; the message's id."""
        id = f"{self.id}_{uuid4().hex}"
        header = {
            **{"msg_id": id, "msg_type": "execute_request", "session": self.id},
            **{"username": "", "version": "5.3", "date": "2026-01-01T00:00:00Z"},
        }
        content = {
            **{"code": code, "silent": False, "store_history": True, "user_expressions": {}},
            **{"allow_stdin": True, "stop_on_error": True},
        }
        asked = {
            **{"header": header, "parent_header": {}, "metadata": {"cellId": cell}},
            **{"content": content, "channel": "shell", "buffers": []},
        }
        assert self.socket is not None
        self.socket.send(json.dumps(asked))
        return id

    def pump(self, wait_s: float = 0) -> None:
        """Take in what has come."""
        assert self.socket is not None
        with contextlib.suppress(TimeoutError, ConnectionClosed):
            while True:
                self.taken.append(json.loads(self.socket.recv(timeout=wait_s)))

    def of(self, run: str, *kinds: str) -> list[dict[str, Any]]:
        """The messages of a run that were taken in."""
        return [
            m
            for m in self.taken
            if m["parent_header"].get("msg_id") == run and (not kinds or m["msg_type"] in kinds)
        ]

    def until(self, run: str, what: str, wait_s: float = 60) -> None:
        """Wait until a run has printed that."""
        until(f"{what!r} is printed", lambda: self.pump(0.1) or what in self.printed(run), wait_s)

    def until_idle(self, run: str, wait_s: float = 60) -> None:
        """Wait until a run has ended."""

        def idle() -> bool:
            self.pump(0.1)
            states = [m["content"]["execution_state"] for m in self.of(run, "status")]
            return "idle" in states and bool(self.of(run, "execute_reply"))

        until("the cell has ended", idle, wait_s)

    def printed(self, run: str) -> str:
        """What a run's messages say, as the window shows it."""
        text = ""
        for message in self.of(run):
            if message["msg_type"] == "clear_output":
                text = ""
            elif message["msg_type"] == "error":
                text += "\n".join(message["content"]["traceback"])
            elif message["msg_type"] in ("stream", "execute_result", "display_data"):
                content = message["content"]
                text += content.get("text") or content["data"].get("text/plain", "")
        return text

    def close(self) -> None:
        """Close the window."""
        if self.socket is not None:
            self.socket.close()
            self.socket = None


def state_of(inside: Inside, kernel: str) -> str:
    """What the server says of a kernel; `gone` if it has none such."""
    answer = inside.ask("GET", f"api/kernels/{kernel}")
    return str(answer.json()["execution_state"]) if answer.status_code == 200 else "gone"


def wait(seconds: float) -> None:
    """Let time pass, where the time itself is what is tested."""
    time.sleep(seconds)

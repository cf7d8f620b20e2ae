"""What a cell shows of the messages that its kernel sent: nbformat 4's outputs.

The same as JupyterLab makes of them. All of it is pure.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

Output = dict[str, Any]

KINDS = frozenset(
    {
        *("stream", "display_data", "execute_result", "error"),
        *("update_display_data", "clear_output", "comm_msg"),
    }
)
"""The types of messages that have to do with outputs."""

_MARK = re.compile(r"\n\[(\d+) characters were not kept\]\n")


class Outputs:
    """A cell's outputs while its messages come in.

    Attributes:
        list: The outputs so far.
    """

    def __init__(self) -> None:
        self.list: list[Output] = []
        self._displays: dict[str, list[Output]] = {}
        self._clear = False
        self._widget = ""
        self._line = ""
        """What was printed into the line that is printed into, returns and all."""

    def take(self, kind: str, content: Any) -> None:
        """Take in the next message.

        Args:
            kind: Its type, or what `runs.Row` has besides.
            content: Its content.
        """
        if kind == "outputs":
            self.list, self._displays, self._clear = list(content), {}, False
            self._line = ""
        elif kind == "clear_output":
            self._clear = True
            if not content.get("wait"):
                self._clear_now()
        elif kind == "comm_msg":
            self._follow(content)
        elif kind == "update_display_data":
            self._update(content)
        elif not self._widget:
            self._clear_now()
            self._append(kind, content)

    def _follow(self, content: Mapping[str, Any]) -> None:
        """A widget of type Output takes what follows, or lets go of it."""
        state = content.get("data", {}).get("state", {})
        if "msg_id" in state:
            self._widget = str(content.get("comm_id")) if state["msg_id"] else ""

    def _add(self, output: Output, more: str) -> None:
        """Add text; what returns to the beginning of the line goes on where it was."""
        above = output["text"][: len(output["text"]) - len(overwritten(self._line))]
        output["text"] = above + overwritten(self._line + more)
        line = (self._line + more).rpartition("\n")[2]
        before, returned, after = line.rpartition("\r")
        self._line = f"{overwritten(line)}\r{after}" if returned and before else line

    def _clear_now(self) -> None:
        if self._clear:
            self.list, self._displays, self._clear = [], {}, False

    def _update(self, content: Mapping[str, Any]) -> None:
        for shown in self._displays.get(_display(content), []):
            shown.update(data=content["data"], metadata=content.get("metadata", {}))

    def _append(self, kind: str, content: Mapping[str, Any]) -> None:
        if kind == "stream":
            last = self.list[-1] if self.list else {}
            if last.get("output_type") != "stream" or last["name"] != content["name"]:
                last = {"output_type": "stream", "name": content["name"], "text": ""}
                self.list.append(last)
                self._line = ""
            self._add(last, content["text"])
        elif kind in ("error", "explained"):
            names = ("ename", "evalue", "traceback")
            self.list.append(
                {"output_type": "error", **{name: content.get(name, "") for name in names}}
            )
        else:
            made = {
                "output_type": kind,
                "data": content["data"],
                "metadata": content.get("metadata", {}),
            }
            if kind == "execute_result":
                made["execution_count"] = content.get("execution_count")
            self.list.append(made)
            if display := _display(content):
                self._update(content)  # Shown once more, it is the same everywhere.
                self._displays.setdefault(display, []).append(made)


def messages(outputs: Sequence[Output]) -> list[tuple[str, dict[str, Any]]]:
    """The messages, as type and content, that lead to these outputs."""
    return [
        (each["output_type"], {name: each[name] for name in each if name != "output_type"})
        for each in outputs
    ]


def overwritten(text: str) -> str:
    r"""A text after its carriage returns and backspaces, as a terminal shows it.

    >>> overwritten("10 %\r20 %\r30 %")
    '30 %'
    """
    if "\b" in text:
        before = None
        while before != text:
            before, text = text, re.sub(r"[^\n]\x08", "", text)
    if "\r" not in text:
        return text
    return "\n".join(map(_line, re.sub(r"\r+\n", "\n", text).split("\n")))


def _line(line: str) -> str:
    if "\r" not in line:
        return line
    first, *later = line.split("\r")
    ends = "\r" if later[-1] == "" else ""
    for each in later:
        first = each + first[len(each) :]
    return first + ends


def trimmed(outputs: Sequence[Output], most: int) -> list[Output]:
    """The outputs, or of too many or too long ones their beginning and end.

    Args:
        outputs: The outputs.
        most: How many characters are kept, about; a picture counts as its base64.
    """
    size = sum(map(_size, outputs))
    if size <= most:
        return list(outputs)
    half = most // 2
    if len(outputs) == 1:
        only = outputs[0]
        if only["output_type"] != "stream":
            return [_told(size)]
        already = sum(int(found) for found in _MARK.findall(only["text"]))
        text = _MARK.sub("", only["text"])
        head, tail = text[:half], text[len(text) - half :]
        lost = len(text) - 2 * half + already
        return [{**only, "text": f"{head}\n[{lost} characters were not kept]\n{tail}"}]
    first: list[Output] = []
    last: list[Output] = []
    rest, room = list(outputs), most
    while rest and len(first) < len(outputs) // 2 and _size(rest[0]) < room - half:
        room -= _size(rest[0])
        first.append(rest.pop(0))
    room = half
    while rest and _size(rest[-1]) < room:
        room -= _size(rest[-1])
        last.insert(0, rest.pop())
    longest = [each for each in rest if each["output_type"] == "stream"]
    if len(rest) == 1 and longest:
        return [*first, *trimmed(longest, half), *last]
    return [*first, _told(sum(map(_size, rest))), *last]


def _told(size: int) -> Output:
    text = f"\n[{size} characters were not kept]\n"
    return {"output_type": "stream", "name": "stderr", "text": text}


def _size(output: Output) -> int:
    if output["output_type"] == "stream":
        return len(output["text"])
    if output["output_type"] == "error":
        return sum(map(len, output["traceback"])) + len(output["evalue"])
    return sum(
        len(value if isinstance(value, str) else str(value)) for value in output["data"].values()
    )


def _display(content: Mapping[str, Any]) -> str:
    return str((content.get("transient") or {}).get("display_id") or "")

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
    """A cell's outputs while its messages come in."""

    def __init__(self) -> None:
        self._made: list[Output] = []
        """The outputs; a display has its id with it, and the last text may lack its end."""
        self._pieces: list[str] = []
        """The last output's text but for its last line, where it is text."""
        self._line = ""
        """What was printed into the line that is printed into, returns and all."""
        self._clear = False
        self._widget = ""

    @property
    def list(self) -> list[Output]:
        """The outputs so far, as a notebook has them."""
        self._join()
        return [{name: each[name] for name in each if name != "transient"} for each in self._made]

    def state(self) -> dict[str, Any]:
        """All there is to know, for `take` as `outputs`; JSON."""
        self._join()
        return {
            "outputs": self._made,
            "line": self._line,
            "clear": self._clear,
            "widget": self._widget,
        }

    def take(self, kind: str, content: Any) -> None:
        """Take in the next message.

        Args:
            kind: Its type, or what `runs.Row` has besides.
            content: Its content.
        """
        if kind == "outputs":
            self._take_over(content)
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

    def forget(self) -> None:
        """Show only what comes from now on."""
        self._clear = True
        self._clear_now()

    def _take_over(self, state: Mapping[str, Any]) -> None:
        self._made = [dict(each) for each in state["outputs"]]
        self._clear, self._widget = bool(state["clear"]), str(state["widget"])
        self._pieces, self._line = [], str(state["line"])
        last = self._made[-1] if self._made else {}
        if last.get("output_type") == "stream":
            self._pieces = [last["text"][: len(last["text"]) - len(overwritten(self._line))]]

    def _follow(self, content: Mapping[str, Any]) -> None:
        """A widget of type Output takes what follows, or lets go of it."""
        if (run := captured(content)) is not None:
            self._widget = str(content.get("comm_id")) if run else ""

    def _clear_now(self) -> None:
        if self._clear:
            self._made, self._pieces, self._line, self._clear = [], [], "", False

    def _update(self, content: Mapping[str, Any]) -> None:
        if display := _display(content):
            for shown in self._made:
                if _display(shown) == display:
                    shown.update(data=content["data"], metadata=content.get("metadata", {}))

    def _append(self, kind: str, content: Mapping[str, Any]) -> None:
        if kind == "stream":
            last = self._made[-1] if self._made else {}
            if last.get("output_type") != "stream" or last["name"] != content["name"]:
                self._join()
                name = content["name"]
                self._made.append({"output_type": "stream", "name": name, "text": ""})
                self._pieces, self._line = [], ""
            self._add(content["text"])
            return
        self._join()
        self._pieces, self._line = [], ""
        if kind in ("error", "explained"):
            names = ("ename", "evalue", "traceback")
            self._made.append(
                {"output_type": "error", **{name: content.get(name, "") for name in names}}
            )
            return
        made = {
            "output_type": kind,
            "data": content["data"],
            "metadata": content.get("metadata", {}),
        }
        if kind == "execute_result":
            made["execution_count"] = content.get("execution_count")
        if display := _display(content):
            self._update(content)  # Shown once more, it is the same everywhere.
            made["transient"] = {"display_id": display}
        self._made.append(made)

    def _add(self, more: str) -> None:
        """Add text; what returns to the beginning of the line goes on where it was."""
        above, ends, line = (self._line + more).rpartition("\n")
        if ends:
            self._pieces.append(overwritten(above + ends))
        before, returned, after = line.rpartition("\r")
        self._line = f"{overwritten(line)}\r{after}" if returned and before else line

    def _join(self) -> None:
        """Put the text of the last output together."""
        if self._made and self._made[-1]["output_type"] == "stream":
            self._pieces = ["".join(self._pieces)]
            self._made[-1]["text"] = self._pieces[0] + overwritten(self._line)


def fits(kind: str, content: Any) -> bool:
    """Whether a message of that type has what the protocol says: anybody's code may send others."""
    if not isinstance(content, dict):
        return False
    if kind == "stream":
        return all(isinstance(content.get(name), str) for name in ("name", "text"))
    if kind == "error":
        trace = content.get("traceback")
        return isinstance(trace, list) and all(isinstance(line, str) for line in trace)
    if kind in ("display_data", "execute_result", "update_display_data"):
        return isinstance(content.get("data"), dict)
    return True


def captured(content: Mapping[str, Any]) -> str | None:
    """Whose outputs a widget says it takes, by the request's id: empty if no more; else None."""
    data = content.get("data")
    state = data.get("state") if isinstance(data, dict) else None
    run = state.get("msg_id") if isinstance(state, dict) else None
    return run if isinstance(run, str) else None


def messages(outputs: Sequence[Output]) -> list[tuple[str, dict[str, Any]]]:
    """The messages, as type and content, that lead to these outputs, ids of displays included."""
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
    size = size_of(outputs)
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


def size_of(outputs: Sequence[Output]) -> int:
    """How many characters they have, about; a picture counts as its base64."""
    return sum(map(_size, outputs))


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

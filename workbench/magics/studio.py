"""The Studio in a kernel, connected when it is first used: a kernel starts no slower for it."""

from typing import Any


class Studio:
    """`wb`: what `workbench.connect()` answers."""

    _connected: Any = None

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self._studio(), name)

    def __dir__(self) -> list[str]:
        return dir(self._studio())

    def __repr__(self) -> str:
        return "wb, the Studio" if self._connected is None else repr(self._connected)

    def _studio(self) -> Any:
        if self._connected is None:
            import workbench

            self._connected = workbench.connect()
        return self._connected

"""A port is a need; an engine meets it; a URL chooses the engine."""

from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, ClassVar, Generic, TypeVar, cast

from .errors import Invalid, Unavailable

T = TypeVar("T")


class Port(Generic[T]):
    """A named need, the protocol that states it, and the engines that meet it.

    Engines are named by URL scheme and imported on first use, so a scaled-out engine costs
    nothing until a URL asks for it. An engine is any callable that takes the URL (and, if it
    has such a parameter, `home`). A package outside this one adds an engine with an entry
    point in the group `workbench.<port name>`.

    Example:
        >>> numbers = Port[list[int]]("demo.numbers", default="empty://", doc="Numbers.")
        >>> numbers.engine("empty", "builtins:list")
        >>> numbers.load("full://")
        Traceback (most recent call last):
        workbench.core.errors.Invalid: demo.numbers has no engine 'full'.
    """

    known: ClassVar[dict[str, "Port[Any]"]] = {}

    def __init__(self, name: str, *, default: str, doc: str) -> None:
        self.name = name
        self.default = default
        self.doc = doc
        self._engines: dict[str, tuple[str, str]] = {}
        Port.known[name] = self

    def engine(self, scheme: str, target: str, *, hint: str = "") -> None:
        """Name the engine of a scheme: `target` is `module:Class`, `hint` how to install it."""
        if scheme in self._engines:
            raise ValueError(f"{self.name} already has an engine {scheme!r}")
        self._engines[scheme] = (target, hint)

    @property
    def schemes(self) -> list[str]:
        """Every scheme this port can open, in alphabetical order."""
        return sorted({*self._engines, *(e.name for e in self._entry_points())})

    def load(self, url: str) -> Any:
        """The factory a URL's scheme names, imported.

        Raises:
            Invalid: No engine has that scheme.
            Unavailable: The engine's package is not installed.
        """
        scheme = url.partition("://")[0]
        found = self._engines
        if scheme not in found:
            # Last, for what is installed is looked through.
            found = {e.name: (e.value, "") for e in self._entry_points()}
        if scheme not in found:
            known = ", ".join(self.schemes)
            raise Invalid(f"{self.name} has no engine {scheme!r}.", hint=f"Known: {known}.")
        target, hint = found[scheme]
        module, _, attribute = target.partition(":")
        try:
            return getattr(import_module(module), attribute)
        except ImportError as error:
            raise Unavailable(f"{self.name} cannot load {scheme!r}: {error}.", hint=hint) from error

    def _entry_points(self) -> Any:
        return entry_points(group=f"workbench.{self.name}")

    def cast(self, engine: Any) -> T:
        """An opened engine, with the type of its protocol."""
        return cast(T, engine)

"""A copy of a home in one file: made while people write, checked before it replaces anything.

`taking` finds what is below a home (`walking`), copies the databases (`sqlite`) and reads the
files (`reading`) into one `archive`; `restoring` makes a home again from what `unpacking` found
whole. `manifest` is what the two sides agree on, `disk` what both ask of a file system, and
`stepping` takes a database one schema back.
"""

from ..store import known_revisions
from .disk import free_bytes
from .manifest import FORMAT, MANIFEST, Entry, LeftOut, Manifest, spelled
from .reading import HOLES
from .restoring import Restored, in_use, restore
from .sqlite import copy_database, revision_of
from .stepping import step_back
from .taking import SMALL, TRIES, Backup, back_up
from .walking import BACKUPS, DEEPEST, TOLD

__all__ = [
    "BACKUPS",
    "DEEPEST",
    "FORMAT",
    "HOLES",
    "MANIFEST",
    "SMALL",
    "TOLD",
    "TRIES",
    "Backup",
    "Entry",
    "LeftOut",
    "Manifest",
    "Restored",
    "back_up",
    "copy_database",
    "free_bytes",
    "in_use",
    "known_revisions",
    "restore",
    "revision_of",
    "spelled",
    "step_back",
]

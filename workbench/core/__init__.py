"""The five words everybody uses: Action, Port, Record, Event, Context (and the errors)."""

from .actions import Action, Upload, action, catalogue, find_action
from .blobs import Blob, Blobs, Signer, blobs
from .context import Actor, Cancelled, Context, Engines, Reporter, open_context
from .door import call, call_here, commit
from .errors import (
    Conflict,
    Forbidden,
    Invalid,
    Limited,
    NotFound,
    Refused,
    Unauthenticated,
    Unavailable,
    WorkbenchError,
)
from .events import Event
from .ids import new_id
from .jobs import FINISHED, Job
from .policy import Policy
from .ports import Port
from .records import Done, Page, Record, canonical, digest
from .settings import Settings, Whereabouts, load_settings, local_person, whereabouts
from .shelf import Shelf
from .shipped import shipped
from .store import Store
from .units import Seconds, Share

__all__ = [
    "FINISHED",
    "Action",
    "Actor",
    "Blob",
    "Blobs",
    "Cancelled",
    "Conflict",
    "Context",
    "Done",
    "Engines",
    "Event",
    "Forbidden",
    "Invalid",
    "Job",
    "Limited",
    "NotFound",
    "Page",
    "Policy",
    "Port",
    "Record",
    "Refused",
    "Reporter",
    "Seconds",
    "Settings",
    "Share",
    "Shelf",
    "Signer",
    "Store",
    "Unauthenticated",
    "Unavailable",
    "Upload",
    "Whereabouts",
    "WorkbenchError",
    "action",
    "blobs",
    "call",
    "call_here",
    "canonical",
    "catalogue",
    "commit",
    "digest",
    "find_action",
    "load_settings",
    "local_person",
    "new_id",
    "open_context",
    "shipped",
    "whereabouts",
]

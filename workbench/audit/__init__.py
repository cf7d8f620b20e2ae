"""The record: what happened, in an order nobody can change unseen."""

from .actions import Checkpoint, Proof, Verification, checkpoint, follow, list_events, prove, verify

__all__ = [
    "Checkpoint",
    "Proof",
    "Verification",
    "checkpoint",
    "follow",
    "list_events",
    "prove",
    "verify",
]

"""Names on the wire between processes of the Studio that load nothing of each other."""

PERSON = "X-Studio-Person"
"""The header by which a server believes who asks; it comes through the Studio's socket alone."""
KEY = "X-Studio-Key"
"""The header by which a server in a pod knows that it is the Studio that asks."""
MOST_WORKERS = 64
"""The most workers that a project's cluster may be asked for: each is a process."""

"""What a spawner gives a project's server: names of its environment.

They have a module of their own, for the hub must not load the server that it starts.
"""

SOCKET, LIMITS, BASE = "STUDIO_SOCKET", "STUDIO_LIMITS", "STUDIO_BASE"
HOST, PORT, SECRET = "STUDIO_HOST", "STUDIO_PORT", "STUDIO_SECRET"
"""What to serve, within what, and whose."""

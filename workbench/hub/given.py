"""What a project's processes are given: names of their environment.

They have a module of their own, for the hub must not load the server that it starts.
"""

LIMITS, BASE, HOST = "STUDIO_LIMITS", "STUDIO_BASE", "STUDIO_HOST"
"""Within what everything runs; whose the server is."""
PORT, SECRET = "STUDIO_PORT", "STUDIO_SECRET"
"""Where a server in a pod answers, and to whom."""
CONTROL, KEEP = "STUDIO_CONTROL", "STUDIO_KEEP"
"""To the keeper: the descriptor by which the hub commands it, and how long idle kernels are kept
without a server, in seconds."""
SOCKET, KEEPER, RUNS = "STUDIO_SOCKET", "STUDIO_KEEPER", "STUDIO_RUNS"
"""From the keeper to the server it starts: the descriptors of what to serve and of the keeper, and
where it is kept what cells print."""

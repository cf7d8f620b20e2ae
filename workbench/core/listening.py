"""A port that others reach."""

import socket


def everywhere(port: int) -> socket.socket:
    """A socket that listens on every address of this machine, of both kinds where it has both.

    Args:
        port: Its number; 0: one that is free.
    """
    if socket.has_dualstack_ipv6():
        listening = socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
    else:
        listening = socket.create_server(("", port))
    # What it accepts inherits that: small messages do not wait for each other.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening

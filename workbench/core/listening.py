"""A port that others reach."""

import socket


def everywhere(port: int) -> socket.socket:
    """A socket that listens on every address of this machine, of both kinds where it has both.

    Args:
        port: Its number; 0: one that is free.
    """
    if socket.has_dualstack_ipv6():
        return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
    return socket.create_server(("", port))

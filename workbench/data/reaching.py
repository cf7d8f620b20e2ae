"""Reaching machines outside: which addresses a connection may go to, resolved once and held to.

A connection is made by an editor and used by the Studio's own processes, which sit where the
hub's and the proxy's interfaces listen (loopback) and where a cloud tells its machines their
credentials (link-local). Neither is reachable unless the setting `reachable` names it.
"""

import ipaddress
import queue
import socket
import threading

from workbench.core import Refused, Settings, Unavailable

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

TIMEOUT_S = 10.0
"""The longest one step (resolve, connect, a read) may take without an answer."""

# What is not link-local but tells a cloud's machines who they are, and what embeds an IPv4 one.
METADATA = [
    ipaddress.ip_network(each)
    for each in ("fd00:ec2::254/128", "100.100.100.200/32", "168.63.129.16/32", "192.0.0.192/32")
]
THIS_NETWORK = ipaddress.ip_network("0.0.0.0/8")
NAT64 = ipaddress.ip_network("64:ff9b::/96")


def reachable(settings: Settings) -> list[str]:
    """Host names and CIDRs that may be reached although they are this machine's or nearby."""
    return list(getattr(settings, "reachable", []))


def is_outside(address: str) -> bool:
    """Whether an address is neither this machine's own, link-local, multicast nor metadata.

    Example:
        >>> [is_outside(each) for each in ("10.0.0.5", "127.0.0.1", "::ffff:169.254.169.254")]
        [True, False, False]
    """
    found: Address = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour
        if found in NAT64:
            inner = ipaddress.IPv4Address(found.packed[-4:])
        if inner is not None:
            return is_outside(str(inner))
        if found.teredo is not None:
            return False
    elif found in THIS_NETWORK or found.is_reserved:
        return False
    return not (
        found.is_loopback
        or found.is_link_local
        or found.is_unspecified
        or found.is_multicast
        or any(found.version == each.version and found in each for each in METADATA)
    )


def addresses(settings: Settings, host: str, port: int) -> list[str]:
    """The addresses of a host that may be connected to, best first; connect to these only.

    Raises:
        Unavailable: No such host, or nobody answers who it is.
        Refused: All of its addresses are ones that a connection may not reach.
    """
    found = _resolved(host, port)
    names = [each.lower() for each in reachable(settings)]
    if host.lower().strip("[]") in names:
        return found
    nets = [net for net in map(_network, names) if net is not None]
    allowed = [
        each
        for each in found
        if is_outside(each) or any(ipaddress.ip_address(each) in net for net in nets)
    ]
    if not allowed:
        raise Refused(
            f"{host} is at {', '.join(found)}, which a connection may not reach.",
            hint="Addresses of the Studio's own machine and of its cloud's metadata are closed; "
            "an administrator can name the host in the setting `reachable`.",
        )
    return allowed


def connected(settings: Settings, host: str, port: int) -> socket.socket:
    """A TCP connection to one of the host's permitted addresses.

    Raises:
        Unavailable: None of them answers.
        Refused: See `addresses`.
    """
    said: OSError | None = None
    for address in addresses(settings, host, port):
        try:
            return socket.create_connection((address, port), timeout=TIMEOUT_S)
        except OSError as error:
            said = error
    raise Unavailable(
        f"{host}:{port} does not answer: {said}.", hint="Check the host, the port, the firewall."
    ) from said


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None  # a host name


def _resolved(host: str, port: int) -> list[str]:
    answer: queue.Queue[list[str] | OSError | UnicodeError] = queue.Queue()

    def ask() -> None:
        try:
            infos = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
            answer.put(list(dict.fromkeys(str(info[4][0]) for info in infos)))
        except (OSError, UnicodeError) as error:
            answer.put(error)

    # The resolver of the system knows no time limit.
    threading.Thread(target=ask, daemon=True).start()
    try:
        found = answer.get(timeout=TIMEOUT_S)
    except queue.Empty:
        raise Unavailable(
            f"The name {host} was not resolved within {TIMEOUT_S:g} s.", hint="Try again later."
        ) from None
    if not isinstance(found, list):
        raise Unavailable(
            f"There is no host {host!r}: {found}.", hint="Check its spelling."
        ) from found
    return found

"""The filter of system calls for a sandbox: classic BPF (seccomp(2), SECCOMP_SET_MODE_FILTER).

Everything is allowed but what reaches outside a namespace or widens the kernel's surface; those
calls fail with EPERM. Sockets are of the families a notebook needs: local, IPv4, IPv6, netlink;
AF_VSOCK would pass `--unshare-net`. Foreign architectures end the process: their call numbers
differ, so the filter would not hold.
"""

import platform
import struct
from functools import lru_cache

from workbench.core import Unavailable

LOAD, EQUAL, AT_LEAST, ANSWER = 0x20, 0x15, 0x35, 0x06
ALLOW, KILL = 0x7FFF0000, 0x80000000
EPERM, EAFNOSUPPORT = 0x00050000 | 1, 0x00050000 | 97
NUMBER, ARCHITECTURE, FIRST, SECOND = 0, 4, 16, 24
"""Offsets in `struct seccomp_data`; the low halves of the first two arguments."""

X86_64, AARCH64 = 0xC000003E, 0xC00000B7
FAMILIES = (1, 2, 10, 16)
TIOCSTI, TIOCLINUX = 0x5412, 0x541C

DENIED: dict[str, dict[str, int]] = {
    "x86_64": {
        "ptrace": 101, "syslog": 103, "personality": 135, "vhangup": 153, "pivot_root": 155,
        "chroot": 161, "mount": 165, "umount2": 166, "reboot": 169, "iopl": 172, "ioperm": 173,
        "init_module": 175, "delete_module": 176, "kexec_load": 246, "add_key": 248,
        "request_key": 249, "keyctl": 250, "unshare": 272, "perf_event_open": 298,
        "name_to_handle_at": 303, "open_by_handle_at": 304, "setns": 308,
        "process_vm_readv": 310, "process_vm_writev": 311, "finit_module": 313,
        "kexec_file_load": 320, "bpf": 321, "userfaultfd": 323, "io_uring_setup": 425,
        "io_uring_enter": 426, "io_uring_register": 427, "open_tree": 428, "move_mount": 429,
        "fsopen": 430, "fsconfig": 431, "fsmount": 432, "fspick": 433, "mount_setattr": 442,
    },
    "aarch64": {
        "umount2": 39, "mount": 40, "pivot_root": 41, "chroot": 51, "vhangup": 58,
        "personality": 92, "unshare": 97, "kexec_load": 104, "init_module": 105,
        "delete_module": 106, "syslog": 116, "ptrace": 117, "reboot": 142, "add_key": 217,
        "request_key": 218, "keyctl": 219, "perf_event_open": 241, "name_to_handle_at": 264,
        "open_by_handle_at": 265, "setns": 268, "process_vm_readv": 270,
        "process_vm_writev": 271, "finit_module": 273, "bpf": 280, "userfaultfd": 282,
        "kexec_file_load": 294, "io_uring_setup": 425, "io_uring_enter": 426,
        "io_uring_register": 427, "open_tree": 428, "move_mount": 429, "fsopen": 430,
        "fsconfig": 431, "fsmount": 432, "fspick": 433, "mount_setattr": 442,
    },
}  # fmt: skip
SOCKETS = {"x86_64": (41, 53), "aarch64": (198, 199)}
"""`socket` and `socketpair`."""
PINNING = {"x86_64": 203, "aarch64": 122}
"""`sched_setaffinity`."""
IOCTL = {"x86_64": 16, "aarch64": 29}


@lru_cache
def program(*, pinned: bool = False) -> bytes:
    """The filter for this machine, as the kernel takes it: eight bytes an instruction.

    Args:
        pinned: Whether a process may not choose its processors.

    Raises:
        Unavailable: The machine is neither x86_64 nor aarch64.
    """
    machine = platform.machine()
    if machine not in DENIED:
        raise Unavailable(
            f"There is no system call filter for {machine}.", hint="x86_64 and aarch64 have one."
        )
    return b"".join(_filter(machine, pinned))


def _filter(machine: str, pinned: bool) -> list[bytes]:
    own = X86_64 if machine == "x86_64" else AARCH64
    lines = [_line(LOAD, ARCHITECTURE), _line(EQUAL, own, 1, 0), _line(ANSWER, KILL)]
    lines.append(_line(LOAD, NUMBER))
    if machine == "x86_64":
        # The x32 calls share the architecture and have numbers of their own.
        lines += [_line(AT_LEAST, 0x40000000, 0, 1), _line(ANSWER, KILL)]
    denied = [*DENIED[machine].values(), *([PINNING[machine]] if pinned else [])]
    for number in denied:
        lines += [_line(EQUAL, number, 0, 1), _line(ANSWER, EPERM)]
    for number in SOCKETS[machine]:
        body = [_line(LOAD, FIRST)]
        for family in FAMILIES:
            body += [_line(EQUAL, family, 0, 1), _line(ANSWER, ALLOW)]
        body.append(_line(ANSWER, EAFNOSUPPORT))
        lines += [_line(EQUAL, number, 0, len(body)), *body]
    # Typing into another's terminal.
    lines += [
        _line(EQUAL, IOCTL[machine], 0, 5),
        _line(LOAD, SECOND),
        _line(EQUAL, TIOCSTI, 2, 0),
        _line(EQUAL, TIOCLINUX, 1, 0),
        _line(ANSWER, ALLOW),
        _line(ANSWER, EPERM),
    ]
    return [*lines, _line(ANSWER, ALLOW)]


def _line(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value & 0xFFFFFFFF)

"""Addresses and ports to listen on: what cannot be used is said before anything is started."""

from __future__ import annotations

import errno
import ipaddress
import socket
from collections.abc import Mapping

from serving.cli.faults import BadInputError

_CHOICES = "give 127.0.0.1 (this machine alone), 0.0.0.0 (others too), or an address that this machine has"


class AlreadyRunningError(Exception):
    """Something runs on this state directory, or listens on this port, already."""


def numeric_address(host: str) -> str:
    """The address of a host name, which BentoML does not look up; an address is its own.

    Raises
    ------
    BadInputError
        If the name has no address.

    Examples
    --------
    >>> numeric_address("0.0.0.0"), numeric_address("::1")
    ('0.0.0.0', '::1')
    """
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        pass  # a name, then
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM) if host.strip() else []
    except (OSError, UnicodeError):
        found = []
    if not found:
        raise BadInputError(f"--host {host!r}: got no address and no name that has one, expected an address of this machine; {_CHOICES}")
    found.sort(key=lambda entry: entry[0] is not socket.AF_INET)  # as a name often has both
    return str(found[0][4][0])


def url_of(address: str, port: int) -> str:
    """Where a program on this machine reaches what listens there.

    Examples
    --------
    >>> url_of("0.0.0.0", 3000), url_of("10.0.0.7", 80), url_of("::", 3000)
    ('http://127.0.0.1:3000', 'http://10.0.0.7:80', 'http://[::1]:3000')
    """
    ip = ipaddress.ip_address(address)
    if ip.is_unspecified:
        ip = ipaddress.ip_address("127.0.0.1" if ip.version == 4 else "::1")  # noqa: PLR2004 - versions of IP
    return f"http://[{ip}]:{port}" if ip.version == 6 else f"http://{ip}:{port}"  # noqa: PLR2004


def refuse_if_taken(address: str, ports: Mapping[str, int]) -> None:
    """Refuse what cannot be listened on: said here, not in a log a minute later.

    Parameters
    ----------
    ports
        By the option that sets each.

    Raises
    ------
    BadInputError
        If two of the ports are the same, or the address is none of this machine.
    AlreadyRunningError
        If something listens on one of the ports already.
    """
    if len(set(ports.values())) < len(ports):
        raise BadInputError(f"{' and '.join(ports)} are the same port, expected one for each; choose another for one of them")
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    for option, port in ports.items():
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
            except OSError as exc:
                raise _refusal(address, option, port, exc) from exc


def _refusal(address: str, option: str, port: int, why: OSError) -> Exception:
    match why.errno:
        case errno.EADDRINUSE:
            return AlreadyRunningError(
                f"port {port} of {address} is taken: another program listens there; end that one, or choose another port with {option}"
            )
        case errno.EACCES:
            return AlreadyRunningError(
                f"port {port} of {address} may not be listened on by this user; choose one above 1023 with {option}, such as {option} 3000"
            )
        case errno.EADDRNOTAVAIL:
            return BadInputError(f"--host {address}: this machine does not have that address; {_CHOICES}")
        case _:
            return AlreadyRunningError(f"port {port} of {address} cannot be listened on ({why.strerror}); choose another with {option}")

"""This very machine, told from others."""

import ipaddress


def is_loopback(host: str) -> bool:
    """Whether a host's name or address is this very machine's."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False

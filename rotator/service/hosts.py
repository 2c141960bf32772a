"""By which names we may be asked. Pure.

A site that somebody looks at can give its own name our address (DNS rebinding), and then read what we answer: the
browser takes both for the same. It cannot choose what the browser says in ``Host``: its own name. An address needs no
such check, for no name stands in between.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit

LOOPBACK = "localhost"


def is_ours(host: str, names: tuple[str, ...]) -> bool:
    """Say whether a ``Host`` header names this machine: an address, ``localhost``, or a configured name; any port."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    return name == LOOPBACK or name in names or _is_address(name)


def is_same_origin(environ: Mapping[str, str]) -> bool:
    """Say whether a page of ours asks: ``Origin`` names the very host and port that the request went to.

    The scheme is left out: behind a proxy that ends TLS we do not know it.
    """
    origin, host = environ.get("HTTP_ORIGIN", ""), environ.get("HTTP_HOST", "")
    return bool(host) and origin.partition("://")[2] == host


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True

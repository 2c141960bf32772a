"""What single values in the configuration may be; each function reads one or says what to write instead.

None of them repeats a value in a message that could be a secret put in the wrong place.
"""

from __future__ import annotations

import re
from contextlib import suppress
from ipaddress import AddressValueError, IPv4Address, IPv6Address, ip_address
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from rotator.faults import InvalidValueError
from rotator.model import TOKEN_NAME, USERID

NAME_PATTERN = r"[a-z0-9][a-z0-9-]{0,31}"
BASE_PATTERN = r"[A-Za-z][A-Za-z0-9._-]{0,63}"
DEFAULT_PORT = 8006
LONGEST_BASE = 64
NOWHERE = "none"
"""In the place of an address to listen at."""

_NAME = re.compile(NAME_PATTERN)
_BASE = re.compile(BASE_PATTERN)
_ROLE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_GROUP = re.compile(r"[A-Za-z0-9._-]+")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")
_HOST = re.compile(r"(?:\[(?P<v6>[^\]]*)\]|(?P<host>[^:\[\]]+))(?::(?P<port>[0-9]{1,5}))?")
_ACL_PATH = re.compile(r"/|(?:/[A-Za-z0-9._-]+)+")
_PROBE = re.compile(r"(?:/[A-Za-z0-9._:@!~%-]+)+(?:\?[A-Za-z0-9._:@!~%&=/-]+)?")
_FINGERPRINT = re.compile(r"[0-9A-F]{64}")
_OBJECT = re.compile(r"[a-z0-9]([-a-z0-9]{0,51}[a-z0-9])?")
_NEAR_MISSES = {"vm": "vms", "node": "nodes", "pools": "pool", "storages": "storage", "mappings": "mapping"}


def parse_name(text: str) -> str:
    """Read a name of ours: of an owner, a cluster, a backend, a credential."""
    if not _NAME.fullmatch(text):
        advice = "write small letters, digits and -, 32 at most"
        likely = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
        raise InvalidValueError("not a name", f"{advice}, for example {likely}" if _NAME.fullmatch(likely) else advice)
    return text


def parse_base(text: str) -> str:
    """Read what the names of tokens begin with; we append ``-<serial>-<random>``."""
    if len(text) > LONGEST_BASE:
        raise InvalidValueError("too long for a token name", f"write {LONGEST_BASE} characters at most")
    if text[:1].isdigit():
        raise InvalidValueError("PVE token names begin with a letter", f"write {base_for(text)}")
    if not _BASE.fullmatch(text):
        raise InvalidValueError("not the beginning of a PVE token name", "write a letter, then letters, digits, . _ -")
    return text


def base_for(name: str) -> str:
    """Suggest a base for a name that PVE does not accept as one."""
    likely = f"t-{name}"[:LONGEST_BASE]
    return likely if _BASE.fullmatch(likely) else "a name that begins with a letter"


def parse_userid(text: str) -> str:
    """Read ``name@realm``."""
    if "!" in text:
        raise InvalidValueError("a token id, not a user", "write what stands before the !")
    if "@" not in text:
        raise InvalidValueError("a user without its realm", f"write {_with_realm(text)}")
    if not USERID.fullmatch(text):
        raise InvalidValueError("not a PVE user", "write name@realm, for example ci@pve")
    return text


def _with_realm(text: str) -> str:
    likely = f"{text}@pve"
    return f"{likely} or {text}@pam" if _NAME.fullmatch(text) else "name@realm, for example ci@pve"


def parse_token_id(text: str) -> str:
    """Read ``name@realm!token``."""
    userid, bang, name = text.rpartition("!")
    if "=" in text:
        raise InvalidValueError("more than a token id", "write what stands before the =; the secret by reference")
    if not bang or not USERID.fullmatch(userid) or not TOKEN_NAME.fullmatch(name):
        raise InvalidValueError("not a token id", "write user@realm!name, for example rotator@pve!op")
    return text


def parse_endpoint(text: str) -> str:
    """Read ``host``, ``host:port`` or ``[v6]:port``; returns ``host:port`` in one spelling."""
    if "://" in text or "/" in text:
        bare = text.partition("://")[2] or text
        likely = bare.partition("/")[0]
        what = "a URL instead of a host" if "://" in text else "a host with a path"
        raise InvalidValueError(
            what, f"write {_spell_endpoint(likely) or 'host or host:port'}, nothing before or after"
        )
    if spelled := _spell_endpoint(text):
        return spelled
    if _spell_endpoint(f"[{text}]"):
        raise InvalidValueError("an IPv6 address without brackets", f'write "[{text}]:{DEFAULT_PORT}"')
    raise InvalidValueError("not a host", f"write host, host:port or [v6]:port; the port is {DEFAULT_PORT} if left out")


def _spell_endpoint(text: str) -> str:
    found = _HOST.fullmatch(text)
    port = int(found["port"] or DEFAULT_PORT) if found else 0
    if not found or not 0 < port < 1 << 16:
        return ""
    host = _spell_v6(found["v6"]) if found["host"] is None else _spell_host(found["host"])
    return f"{host}:{port}" if host else ""


def _spell_v6(text: str) -> str:
    try:
        return f"[{IPv6Address(text)}]"
    except AddressValueError:
        return ""


def _spell_host(text: str) -> str:
    labels = text.lower().removesuffix(".").split(".")
    if labels[-1].isdigit():
        try:
            return str(IPv4Address(text))
        except AddressValueError:
            return ""
    return ".".join(labels) if all(map(_LABEL.fullmatch, labels)) else ""


def parse_acl_path(text: str) -> str:
    """Read a path of PVE's access control list: ``/``, ``/vms``, ``/storage/local``."""
    _check_absolute(text)
    if not _ACL_PATH.fullmatch(text):
        raise InvalidValueError("not a path of an access control list", "write for example /vms/100 or /storage/local")
    first, slash, rest = text[1:].partition("/")
    if first in _NEAR_MISSES:
        raise InvalidValueError("not a path that PVE knows", f"write /{_NEAR_MISSES[first]}{slash}{rest}")
    return text


def parse_probe(text: str) -> str:
    """Read a path of PVE's API to GET: ``/nodes``."""
    if text.startswith("/api2"):
        raise InvalidValueError("paths stand without /api2/json", "write for example /nodes")
    _check_absolute(text)
    if not _PROBE.fullmatch(text) or "/.." in text:
        raise InvalidValueError("not a path of PVE's API", "write for example /nodes or /cluster/resources?type=vm")
    return text


def _check_absolute(text: str) -> None:
    if not text.startswith("/"):
        raise InvalidValueError("a path begins with /", "write for example /vms")
    if text.endswith("/") and text != "/":
        raise InvalidValueError("a slash at the end", "write the path without it")


def parse_role(text: str) -> str:
    """Read the name of a role."""
    if not _ROLE.fullmatch(text):
        raise InvalidValueError("not the name of a role", "write for example PVEVMAdmin")
    return text


def parse_group(text: str) -> str:
    """Read the name of a group at PVE."""
    if not _GROUP.fullmatch(text):
        raise InvalidValueError("not the name of a group", "write for example rotated")
    return text


def parse_fingerprint(text: str) -> str:
    """Read the SHA-256 fingerprint of a certificate; returns it in PVE's spelling, ``AB:CD:...``."""
    digits = text.replace(":", "").upper()
    if not _FINGERPRINT.fullmatch(digits):
        advice = "write the 64 hex digits that `pvenode cert info` shows"
        raise InvalidValueError("not a SHA-256 fingerprint", advice)
    return ":".join(digits[at : at + 2] for at in range(0, len(digits), 2))


def parse_object_name(text: str) -> str:
    """Read the name of an object in Kubernetes, short enough for us to append a number."""
    if not _OBJECT.fullmatch(text):
        advice = "write small letters, digits and -, 53 at most"
        raise InvalidValueError("not the name of an object in Kubernetes", advice)
    return text


def parse_file(text: str) -> str:
    """Read the path of a file of ours: absolute, so that it means the same for a service and a shell."""
    if not text.startswith("/") or "\0" in text or text.endswith("/"):
        raise InvalidValueError("not the absolute path of a file", "write it from / on, for example /etc/rotate/name")
    return text


def parse_url(text: str) -> str:
    """Read where a webhook is: over TLS only, and without a secret in it."""
    parts = _split(text)
    if parts is None or parts.scheme != "https" or not parts.hostname:
        raise InvalidValueError("not a URL of HTTPS", "write https://host/path")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise InvalidValueError("more than a URL takes", "write it without user, password and #")
    return text


def _split(text: str) -> SplitResult | None:
    is_plain = text.isascii() and text.isprintable() and " " not in text
    with suppress(ValueError):
        parts = urlsplit(text)
        return parts if is_plain and (parts.port is None or parts.port > 0) else None
    return None


def parse_argv(words: tuple[str, ...]) -> tuple[str, ...]:
    """Read a program with its arguments."""
    if words and not words[0].startswith("/"):
        raise InvalidValueError("the program has no absolute path", "write where it is, for example /usr/bin/systemctl")
    if any("\0" in word for word in words):
        raise InvalidValueError("a zero byte in an argument", "write it without")
    return words


def parse_variable(text: str) -> str:
    """Read the name of an environment variable."""
    if not _VARIABLE.fullmatch(text):
        is_expansion = not {"$", "{"}.isdisjoint(text)
        advice = "without $ and braces" if is_expansion else "with letters, digits and _ alone, no digit first"
        raise InvalidValueError("not the name of an environment variable", f"write it {advice}")
    return text


def parse_listen(text: str) -> str:
    """Read ``none``, or an address of this machine with a port; returns ``address:port`` in one spelling."""
    if text == NOWHERE:
        return text
    host, _, port = text.rpartition(":")
    host = "127.0.0.1" if host == "localhost" else host
    with suppress(ValueError):
        address = ip_address(host[1:-1]) if host[:1] + host[-1:] == "[]" else IPv4Address(host)
        if port.isascii() and port.isdecimal() and int(port) < 1 << 16:
            return f"{address}:{int(port)}"
    raise InvalidValueError("not an address with a port", f'write 127.0.0.1:9105, "[::]:9105", or {NOWHERE}')


_HOST_NAME = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)(\.(?!-)[a-z0-9-]{1,63}(?<!-))*")


def parse_host(text: str) -> str:
    """Read the name of a machine, without a port; returns it in lower case."""
    if not _HOST_NAME.fullmatch(text.lower()):
        raise InvalidValueError("not the name of a host", "write rotate.example.net, without a scheme and a port")
    return text.lower()


def check_certificates(path: Path) -> None:
    """Look whether a file holds certificates in PEM. Raises: ``InvalidValueError``."""
    try:
        with path.open("rb") as file:
            head = file.read(_ENOUGH)
    except OSError as error:
        raise InvalidValueError(f"cannot be read: {error.strerror}", "name a file with the authority's PEM") from None
    if b"-----BEGIN CERTIFICATE-----" not in head:
        raise InvalidValueError("holds no certificate", "name a PEM file, on a PVE node /etc/pve/pve-root-ca.pem")


_ENOUGH = 1 << 20

"""What a consumer shows to PVE, read off its own header, cookie or form. Pure; nothing of it is ever told.

Facts of what PVE takes and refuses are measured on PVE 9.2.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, unquote

from rotator.model import USERID, Secret, TokenId

TICKET_LIFE = timedelta(hours=2)
_HEADER = re.compile(r"(?P<name>[A-Za-z][A-Za-z-]*):[ \t]*(?P<value>.*)")
_SCHEME = re.compile(r"PVEAPIToken[= ](?P<shown>.*)")
_COOKIE = re.compile(r"(?:^|[;\s])PVEAuthCookie=(?P<ticket>[^;]*)")
_TICKET = re.compile(r"PVE:(?P<userid>[^:]+):(?P<born>[0-9A-Fa-f]{8})::.+")
_SECRET = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_WITH_COLON = re.compile(r"(?P<id>[^:=!\s]+![^:=!\s]+):(?P<secret>[^\s]+)")
_LINE_END = re.compile(r"\r?\n|\r")
_QUOTES = "\"'"
_HEADERS = frozenset({"authorization", "cookie", "csrfpreventiontoken"})


@dataclass(frozen=True, slots=True)
class Shown:
    """A token as a header shows it; ``fault`` is the code of what is wrong with its form, "" when nothing is."""

    fault: str = ""
    evidence: str = ""
    token: TokenId | None = None
    secret: Secret = field(default_factory=lambda: Secret(""))


@dataclass(frozen=True, slots=True)
class Ticket:
    """A ticket as a cookie shows it; ``userid`` is "" when it is none."""

    userid: str = ""
    born: datetime | None = None


@dataclass(frozen=True, slots=True)
class Given:
    """All that a consumer shows with a request."""

    token: Shown | None = None
    ticket: Ticket | None = None
    has_csrf: bool = False
    userid: str = ""
    password: Secret | None = None
    headers: dict[str, Secret] = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:
        """What it is called in a diagnosis; nothing that is secret."""
        if self.token and self.token.token:
            return str(self.token.token)
        if self.ticket:
            return f"a ticket of {self.ticket.userid}" if self.ticket.userid else "a ticket"
        return f"a login of {self.userid}" if self.password else "what was given"


def read_given(text: str) -> Given:
    """Read lines of headers, a bare value, or a form with user and password. Total: any text means something."""
    headers: dict[str, str] = {}
    bare = ""
    for line in _LINE_END.split(text):
        found = _HEADER.fullmatch(line)
        if found and found["name"].lower() in _HEADERS:
            headers[found["name"].lower()] = found["value"]
        elif line.strip():
            bare = bare or line
    if "password=" in bare and "username=" in bare:
        return _form(bare)
    return _with(headers, bare)


def _form(text: str) -> Given:
    values = {name: found[-1] for name, found in parse_qs(text.strip(), keep_blank_values=True).items()}
    userid = values.get("username", "")
    if "realm" in values and "@" not in userid:
        userid = f"{userid}@{values['realm']}"
    return Given(userid=userid, password=Secret(values.get("password", "")))


def _with(headers: dict[str, str], bare: str) -> Given:
    if bare.strip().startswith("PVEAuthCookie="):
        headers.setdefault("cookie", bare.strip())
        bare = ""
    cookie = _COOKIE.search(headers.get("cookie", ""))
    shown = headers.get("authorization", "")
    token = read_header(shown) if "authorization" in headers else read_value(bare) if bare else None
    if token and token.token and "authorization" not in headers:
        shown = f"PVEAPIToken={token.token}={token.secret.reveal()}"
    sent = {"Authorization": Secret(shown)} if shown else {}
    sent |= {"Cookie": Secret(headers["cookie"])} if cookie else {}
    return Given(
        token=token,
        ticket=read_ticket(unquote(cookie["ticket"])) if cookie else None,
        has_csrf=bool(headers.get("csrfpreventiontoken", "").strip()),
        headers=sent,
    )


def read_header(value: str) -> Shown:
    """Read the value of an Authorization header the way PVE does, and say what PVE would not take."""
    if fault := _dressed(value):
        return fault
    scheme = _SCHEME.fullmatch(value)
    if scheme is None:
        return Shown("scheme-wrong", f"it begins with {_beginning(value)}")
    return _pair(scheme["shown"].partition(";")[0])


def read_value(value: str) -> Shown:
    """Read what configurations hold: the header's value, or id and secret in one text."""
    if fault := _dressed(value):
        return fault
    scheme = _SCHEME.fullmatch(value)
    if scheme is None and re.match(r"(?i)(?:PVEAPIToken|PBSAPIToken|PMGAPIToken|Bearer|Basic)\b", value):
        return Shown("scheme-wrong", f"it begins with {_beginning(value)}")
    return _pair(scheme["shown"].partition(";")[0] if scheme else value)


def _dressed(value: str) -> Shown | None:
    if any(quote in value for quote in _QUOTES):
        return Shown("header-quoted", "there is a quotation mark in it; no id and no secret has one")
    if value != value.strip() or re.search(r"\s", value.partition("!")[2]):
        return Shown("header-spaced", "there is white space at its end, or inside of it")
    return None


def _beginning(value: str) -> str:
    """Name the scheme of a header if it is a known one; anything else could be the secret."""
    found = re.match(r"(?i)(PVEAPIToken|PBSAPIToken|PMGAPIToken|PVEAuthCookie|Bearer|Basic)\b", value)
    return f"`{found[1]}`" if found else "something else"


def _pair(shown: str) -> Shown:
    full_id, equals, secret = shown.rpartition("=")
    if not equals:
        colon = _WITH_COLON.fullmatch(shown)
        if colon is None:
            return Shown("token-id-incomplete", "it has no `=` between id and secret")
        return Shown("colon-for-equals", "a `:` stands between token name and secret", _token(colon["id"]))
    token = _token(full_id)
    if token is None:
        bangs = unquote(full_id).count("!")
        return Shown("token-id-incomplete", f"what stands before the `=` has {bangs} `!`, or lacks a realm or a name")
    if not _SECRET.fullmatch(secret):
        is_upper = bool(_SECRET.fullmatch(secret.lower()))
        evidence = (
            "its secret has upper-case letters" if is_upper else f"its secret has {len(secret)} characters, or odd ones"
        )
        return Shown("secret-misshapen", evidence, token)
    return Shown(token=token, secret=Secret(secret))


def _token(text: str) -> TokenId | None:
    try:
        return TokenId.parse(unquote(text))
    except ValueError:
        return None


def read_ticket(text: str) -> Ticket:
    """Read whose ticket it is and when it was made."""
    found = _TICKET.fullmatch(text)
    if found is None or not USERID.fullmatch(found["userid"]):
        return Ticket()
    return Ticket(found["userid"], datetime.fromtimestamp(int(found["born"], 16), UTC))


def stored_fault(value: Secret) -> Shown | None:
    """Say what is wrong with a value in a record that is meant for a header; None for all others."""
    text = value.reveal()
    if re.match(r"(?i)['\"]?PVEAPIToken\b", text):
        shown = read_value(text)
        return shown if shown.fault else None
    colon = _WITH_COLON.fullmatch(text)
    if colon and _token(colon["id"]) and _SECRET.fullmatch(colon["secret"].lower()):
        return Shown("colon-for-equals", "a `:` stands between token name and secret", _token(colon["id"]))
    return None

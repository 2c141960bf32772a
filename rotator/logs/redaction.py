"""The second line of defence: whatever goes into a log, nothing that looks like a secret, or is one, comes out.

The first is that no secret is handed to it: a ``Secret`` does not show itself, and an exception that nobody thought of
is told by its type and its place, without its words (``rotator.bugs``). Here is looked at what is said all the same, by
us, by a library or by PVE: by form (PVE's secrets are UUIDs), by name (a header, a key, a parameter that has such a
value), and by value (``rotator.secrecy``), plain, escaped or in base64.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from rotator.errors import RotatorError
from rotator.record import Secret
from rotator.secrecy import HIDDEN, UUID, Known, known

DEEPEST = 8
"""Nobody reads deeper; what is there is not shown."""
OURS = frozenset(
    {"credential", "cluster", "step", "outcome", "reason", "rotation", "trigger", "old", "new", "token", "destination"}
)
"""Fields with names out of the configuration, ids, and words of the product: no search by value."""
_HEADERS = "authorization|proxy-authorization|cookie|set-cookie|csrfpreventiontoken|x-vault-token|x-amz-security-token"
_KEYS = (
    r"(?:passw(?:or)?d|passphrase|secret|token[_-]?value|api[_-]?token|api[_-]?key|private[_-]?key"
    r"|ticket|otp|credentials?[_-]value|csrf|session[_-]?token|client[_-]?token|wrapp?ing[_-]?token)"
)
"""In the middle of a name. What follows is looked at for so far only: a long text of such names would take minutes."""
SENSITIVE = re.compile(rf"{_HEADERS}|[\w.-]*{_KEYS}[\w-]*|value", re.IGNORECASE)
"""Names whose values are not shown."""
_VALUE = r"""(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[^\s,;&"'{}()\[\]]+)"""
_FORMS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE | re.DOTALL), put)
    for pattern, put in (
        (r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\Z)", HIDDEN),
        (r"\bPVEAPIToken\s*[=:]\s*([^\s=]+)=[^\s\"',;]+", rf"PVEAPIToken=\1={HIDDEN}"),
        (r"\b(PVE(?:Auth)?Cookie|PVE:[^\s:]+:[0-9A-F]{8})(?:=|::)[^\s\"',;]+", rf"\1={HIDDEN}"),
        (rf"\b({_HEADERS})([\"']?\s*[:=,]\s*)(?:b?[\"'][^\"'\r\n]*|[^\"'\r\n]+)", rf"\1\2{HIDDEN}"),
        (r"\b(Bearer|Basic|Negotiate|AWS4-HMAC-SHA256)\s+(?=\S*[0-9=+/_])[\w+/=.~:,-]{4,}", rf"\1 {HIDDEN}"),
        (r"(://)[^\s/@:]*:[^\s/@]+@", rf"\1{HIDDEN}@"),
        (rf"(?<!PVE)({_KEYS}[\w-]{{0,99}})(\s*=\s*|[\"']\s*:\s*)(?!\[hidden\]){_VALUE}", rf"\1\2{HIDDEN}"),
        (r"\beyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?", HIDDEN),
        (r"\b(?:hv[bsr]\.[\w-]{16,}|[sbr]\.[A-Za-z0-9]{24,})", HIDDEN),
        (UUID.pattern, HIDDEN),
    )
)
_WORD = re.compile(r"[\w-]{0,35}")
"""What none of the forms is: most of what is told is such a word."""
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{12,}={0,2}")


@dataclass(frozen=True, slots=True)
class Redaction:
    """Takes secrets out."""

    values: Known = known

    def text(self, text: str) -> str:
        """Return a text without secrets."""
        return _BASE64.sub(self._decoded, self.values.hide(self.by_form(text)))

    def fields(self, fields: Mapping[str, object]) -> dict[str, Any]:
        """Return the fields of a line without secrets; those of a rotation are names and words of ours."""
        return dict(self._field(key, value) for key, value in fields.items())

    def _field(self, key: str, value: object) -> tuple[str, Any]:
        if key in OURS and isinstance(value, str):
            return key, self.by_form(str(value))
        return self.text(key), HIDDEN if SENSITIVE.fullmatch(key) else self.clean(value)

    def by_form(self, text: str) -> str:
        """Return a text without what has the form of a secret."""
        if _WORD.fullmatch(text):
            return text
        for pattern, put in _FORMS:
            text = pattern.sub(put, text)
        return text

    def clean(self, value: object, depth: int = 0) -> Any:  # noqa: ANN401 - the same shape again
        """Return a value without secrets, made of what JSON has, of times, and of nothing that has methods of its own.

        Raises: nothing; of what cannot be shown its type is told.
        """
        found: object
        match value:
            case None | bool() | datetime() | timedelta():
                found = value
            case int() | float():
                found = value if type(value) in {int, float} else self.text(str(value))
            case str():
                found = self.text(str(value))
            case bytes() | bytearray() | memoryview():
                found = self.text(bytes(value).decode(errors="backslashreplace"))
            case BaseException():
                found = self.text(value.message) if isinstance(value, RotatorError) else type(value).__name__
            case Secret():
                found = HIDDEN
            case _:
                found = self._inside(value, depth) if depth < DEEPEST else HIDDEN
        return found

    def _inside(self, value: object, depth: int) -> Any:  # noqa: ANN401 - see above
        if isinstance(value, Mapping):
            return {
                self.text(str(key)): HIDDEN if SENSITIVE.fullmatch(str(key)) else self.clean(inner, depth + 1)
                for key, inner in value.items()
            }
        if isinstance(value, list | tuple | set | frozenset):
            return [self.clean(inner, depth + 1) for inner in value]
        return self._shown(value)

    def _shown(self, value: object) -> str:
        try:
            return self.text(repr(value))
        except Exception:  # noqa: BLE001 - somebody else's repr
            return f"<{type(value).__name__}>"

    def _decoded(self, found: re.Match[str]) -> str:
        """Look into what may be base64, at each of the places where it may begin."""
        whole = found[0].rstrip("=").replace("-", "+").replace("_", "/")
        for start in range(4):
            cut = whole[start:]
            try:
                raw = base64.b64decode(cut + "=" * (-len(cut) % 4))
            except binascii.Error:
                continue
            inner = raw.decode(errors="replace")
            if self.values.hide(self.by_form(inner)) != inner:
                return HIDDEN
        return found[0]

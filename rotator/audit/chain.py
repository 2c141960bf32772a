"""The chain: each line bears its number, the hash of the line before, and its own. Pure.

The hash is SHA-256 over the line's JSON without ``hash``, its keys sorted and nothing between the tokens; with a key it
is HMAC-SHA256, which nobody makes anew who does not have the key. ``jq -caS 'del(.hash)'`` prints what is hashed.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from rotator.model import Secret

PLAIN, KEYED = "sha256", "hmac-sha256"


@dataclass(frozen=True, slots=True)
class Link:
    """Where a chain stands: the number of its last line, and that line's hash."""

    seq: int = 0
    hash: str = ""


START = Link()
"""Before the first line of all."""


@dataclass(frozen=True)
class Seal:
    """Seals lines, with a key if there is one. ``ask`` reads it, once, when it is needed first."""

    ask: Callable[[], Secret] | None = None

    @cached_property
    def key(self) -> bytes | None:
        """The key, if there is one. Raises: what reading it raises."""
        return self.ask().reveal().encode() if self.ask else None

    def sealed(self, fields: Mapping[str, Any], before: Link) -> tuple[str, Link]:
        """Return the text of the line that comes after another, and where the chain stands then."""
        whole = {**fields, "seq": before.seq + 1, "prev": before.hash}
        link = Link(before.seq + 1, self.digest(whole))
        return text_of({**whole, "hash": link.hash}), link

    def digest(self, fields: Mapping[str, Any]) -> str:
        """Compute the hash that a line must bear; a hash that it has already is left out."""
        bare = {key: value for key, value in fields.items() if key != "hash"}
        text = json.dumps(bare, sort_keys=True, separators=(",", ":")).encode()
        if self.key is None:
            return f"{PLAIN}:{hashlib.sha256(text).hexdigest()}"
        return f"{KEYED}:{hmac.digest(self.key, text, 'sha256').hex()}"

    def holds(self, fields: Mapping[str, Any]) -> bool:
        """Say whether a line bears its own hash."""
        return hmac.compare_digest(str(fields.get("hash")).encode(), self.digest(fields).encode())


def text_of(fields: Mapping[str, Any]) -> str:
    """Write a line: ASCII alone, so that whatever others wrote obeys no terminal and breaks no line."""
    return json.dumps(fields, separators=(",", ":"))


def parsed(text: bytes) -> dict[str, Any] | None:
    """Read a line; None for one that we did not write so, down to the last byte."""
    try:
        found = json.loads(text)
        is_ours = isinstance(found, dict) and text_of(found).encode() == text
    except (ValueError, RecursionError):
        return None
    return found if is_ours else None


def link_of(fields: Mapping[str, Any] | None) -> Link | None:
    """Return where the chain stood after a line; None for one that has no place in it."""
    if fields is None:
        return None
    seq, found = fields.get("seq"), fields.get("hash")
    is_link = isinstance(seq, int) and not isinstance(seq, bool) and seq > 0 and isinstance(found, str) and found
    return Link(int(str(seq)), str(found)) if is_link else None

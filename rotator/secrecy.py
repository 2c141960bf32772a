"""Which values are secret, known by their hashes alone, so that whoever writes a line can see whether one is in it.

Every ``Secret`` that is made is learnt here. No value is kept alive for it: what stays is a hash of its first
characters, its length and a hash of the whole, by Python's own keyed hash, in a bounded number. So a value is found
inside of a longer text too, after the ``Secret`` itself is gone. This is a second line of defence: the first one is
that no secret is handed to a log at all.

Not learnt is what a store keeps beside the secret and people have to read: ids of tokens, times, what is too short to
be told from a word. The name in an id is shown there, though a record has it by itself. PVE's own secrets are not
either: they are UUIDs, and every UUID is hidden by its form. What the configuration says to everybody, names and where
clusters are, is spared: a consumer's record has it beside the secret.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator
from functools import cache

HIDDEN = "[hidden]"
"""What stands in the place of a secret."""
SHORTEST = 8
"""Characters; anything shorter would make words disappear."""
LONGEST = 4096
"""Characters; what is longer is a document, as an answer of PVE is, and what is secret in it is found by its form."""
MOST = 8192
"""So many values are known at least, the newest ones; at most twice as many."""
UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)
DOCUMENTS = ('{"', "[{", '["', "[]")
"""How JSON begins. PVE's answers are kept as ``Secret``; if they were learnt, they would soon crowd out all others."""
_PLAIN = re.compile(
    rf"{UUID.pattern}|[^\s:/!@]+@[A-Za-z][A-Za-z0-9.\-_]+![A-Za-z][A-Za-z0-9.\-_]+|\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\dZ",
    re.IGNORECASE,
)
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9.\-_]+")
_USER_REALM = re.compile(r"[^\s:/!@]@[A-Za-z][A-Za-z0-9.\-_]+!\Z")
_FAR = 64
"""Characters that are looked back for the end of a user and a realm; no realm is as long."""
_SAME_EVERYWHERE = re.compile(r"[A-Za-z0-9_.~-]+")
_RESERVED = re.compile(rb"[^A-Za-z0-9_.~-]")

_Lengths = set[tuple[int, int]]
"""Lengths of values that begin alike, each with the hash of the whole."""


class Known:
    """The values that were learnt last. Used from any thread, without a lock: at worst a few are forgotten too soon."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._generations: tuple[dict[int, _Lengths], dict[int, _Lengths]] = ({}, {})
        self._spared: Callable[[], Collection[str]] = tuple
        self._young = 0
        """Values in the younger one: as many as one likes begin alike."""

    def learn(self, value: str) -> None:
        """Take note of a value, and of how it looks in JSON, in a ``repr`` and in a URL. Repeat: it is known longer."""
        bare = value.strip() if len(value) <= LONGEST else ""
        if len(bare) < SHORTEST or bare.startswith(DOCUMENTS) or _PLAIN.fullmatch(bare):
            return
        young, _ = self._generations
        if self._young >= self._most:
            self._generations, self._young = ({}, young), 0
            young = self._generations[0]
        is_new = False
        for form in forms(bare):
            alike, it = young.setdefault(hash(form[:SHORTEST]), set()), (len(form), hash(form))
            is_new = is_new or it not in alike
            alike.add(it)
        self._young += is_new

    def spare(self, words: Callable[[], Collection[str]]) -> None:
        """Hide none of these words, in the place of those before; they are asked for when the first one is met."""
        self._spared = cache(words)

    def hide(self, text: str, spared: Collection[str] = ()) -> str:
        """Return a text without any value that is known; ``spared`` are those that everybody may read."""
        parts, start, position, shown = list[str](), 0, 0, 0
        while position <= len(text) - SHORTEST:
            end = position + self._length_at(text, position)
            if end <= max(position, shown):  # nothing, or a part of a word that is spared
                position += 1
            elif self._is_spared(text[position:end], spared) or is_token_name(text, position, end):
                position, shown = position + 1, end  # what goes on behind it may begin within
            else:
                parts += [text[start:position], HIDDEN]
                start = position = end
        return "".join([*parts, text[start:]])

    def _is_spared(self, word: str, spared: Collection[str]) -> bool:
        return word in spared or word in self._spared()

    def _length_at(self, text: str, position: int) -> int:
        """Return how long the longest known value is that stands there; 0 for none."""
        young, old = self._generations
        begin = hash(text[position : position + SHORTEST])
        if begin not in young and begin not in old:
            return 0
        candidates = [*young.get(begin, ()), *old.get(begin, ())]
        return max((size for size, whole in candidates if hash(text[position : position + size]) == whole), default=0)


def is_token_name(text: str, start: int, end: int) -> bool:
    """Say whether what stands there is the name in a token's id: records have it in a key of its own."""
    before = text[max(0, start - _FAR) : start]
    return _NAME.fullmatch(text, start, end) is not None and _USER_REALM.search(before) is not None


def forms(value: str) -> Iterator[str]:
    """Yield a value as it is and as it looks where it was written down for machines."""
    yield value
    if _SAME_EVERYWHERE.fullmatch(value):
        return
    yield json.dumps(value)[1:-1]
    yield json.dumps(value, ensure_ascii=False)[1:-1]
    yield repr(value)[1:-1]
    yield repr(value.encode(errors="replace"))[2:-1]
    yield _RESERVED.sub(lambda it: b"%%%02X" % it[0][0], value.encode(errors="replace")).decode()


known = Known()
"""Those of this process."""

"""A watch for crashes: it knows shapes, what a kind of rotation cannot promise, and when it matters most to look."""

from __future__ import annotations

import re
from collections.abc import Mapping
from copy import copy

from tests.explore.crash_kinds import Spoiling
from tests.explore.watch import Shown, Watch, foreign_keys, token_in
from tests.explore.world import started_by

RANDOM = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|rotation=[0-9a-f]{12}|(?<=-)1\d{4}\b")
"""Secrets, ids of rotations, and the random parts that a world draws."""


class Strict(Watch):
    """Looks at a credential whose records may have shapes, and blames nobody for what was not promised."""

    excused: Mapping[str, str] = {}

    def __post_init__(self) -> None:
        """Begin with what is there; what has an end already was put back by somebody, and will end then."""
        tokens = self.world.user(self.credential).tokens
        self._ending = {f"{self.credential.userid}!{name}" for name, token in tokens.items() if token.expire}
        super().__post_init__()

    def content(self, name: str) -> dict[str, str]:
        """Read a record in its own shape."""
        content = self.world.read(name)
        shape = next(it.shape for it in self.credential.destinations if it.location == name)
        token = shape.read(self.world.store.records.get(name))
        others = {key: value for key, value in content.items() if key not in shape.keys}
        return others | ({"token_id": str(token.id), "token_secret": token.secret.reveal()} if token else {})

    def _content(self, name: str) -> dict[str, str]:
        """Read a record; a secret that the store itself has spoilt is none that a consumer was promised."""
        content, store = self.content(name), self.world.store
        is_spoilt = isinstance(store, Spoiling) and content.get("token_secret") in store.spoilt
        return foreign_keys(content) if is_spoilt else content

    def look(self, where: str) -> None:
        """Look also at consumers that read a record only when they are started: what they show must log in always."""
        super().look(where)
        for place in self._places:
            started = token_in(self.world.read(started_by(place)))
            if started and not self.world.pve.accepts(*started):
                self.blame(f"I2: {started[0]}, which consumers of {place} were started with, is refused", where)

    def held(self) -> list[Shown | None]:
        """Tell what each destination holds, spoilt or not, the primary first."""
        return [token_in(self.content(it.location)) for it in self.credential.destinations]

    def blame(self, what: str, where: str) -> None:
        """Note a violation of what was promised."""
        promise, _, about = what.partition(": ")
        is_ending = promise == "I2" and about.partition(",")[0] in self._ending and not self.credential.lifetime
        if promise not in self.excused and not is_ending:
            super().blame(what, where)

    def last_moments(self) -> list[float]:
        """Tell, in order, when what was read and is no longer there may be relied upon for the last time."""
        return sorted(last + self.credential.overlap.total_seconds() for last in self._read.values())

    def situation(self) -> str:
        """Write down all that what follows depends on, PVE, the records, and what must still be looked for.

        Random parts are numbered in the order of their coming: two situations that differ in nothing else are the same.
        """
        world = self.world
        tokens = [
            (userid, name, token, token.secret)
            for userid, user in sorted(world.state.users.items())
            for name, token in sorted(user.tokens.items())
        ]
        records = [(name, sorted(world.read(name).items())) for name in sorted(world.store.records)]
        acl = sorted((path, sorted(map(repr, node.items()))) for path, node in world.state.acl.items())
        seen = [(name, value) for name, value in sorted(vars(self).items()) if isinstance(value, (dict, list, set))]
        numbers: dict[str, int] = {}
        text = repr((world.clock.seconds, tokens, records, acl, self._serial, seen))
        return RANDOM.sub(lambda found: f"<{numbers.setdefault(found[0], len(numbers))}>", text)

    def kept(self) -> Strict:
        """Copy what was seen so far."""
        twin = copy(self)
        for name, value in vars(self).items():
            if isinstance(value, (dict, list, set)):
                setattr(twin, name, copy(value))
        return twin

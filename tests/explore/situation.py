"""All that what follows in a race depends on, in one digest: two schedules that have come to the same go on alike.

A situation is PVE, the records, the clock, what the watch still looks for, who was before, and of each program what it
is about to call and all that it was ever told: its calls, their answers and their times. The product draws nothing that
decides and reads nothing but answers and clocks, so a program that was told the same stands where the other stands.

What is drawn by chance (secrets, ids of rotations) or counted (versions) differs from one schedule to the next, and
decides nothing but by being equal: it goes by another name, given where it is first seen. The random parts of token
names stay as they are: tokens are sorted by them.

What is of a kind that is not known here is an error, not a blank: a part of the world that was left out would make
situations the same that are not.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from typing import TypeVar

from rotator.errors import RotatorError, UnauthenticatedError
from rotator.model import Stored
from rotator.testing.state import AclNode, State, User
from tests.explore.schedule import Player, Witness
from tests.explore.watch import Watch
from tests.explore.world import World, shown

T = TypeVar("T")
_DRAWN = re.compile(r"rotation=[0-9a-f]{12}|version=[0-9]+|'[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_SAME = frozenset({"world", "credential", "overlaps", "foreign", "_wanted", "_rely", "_longest"})
"""What a watch has that is the same in each schedule,"""
_IDLE = frozenset({"looks", "_seen"})
"""and what is only counted, or only saves work."""


class Aliases:
    """Other names for what is drawn or counted: whose call it was first seen after, and the how-manieth of those."""

    def __init__(self) -> None:
        self.after = ""
        self._known: dict[str, str] = {}
        self._counts: Counter[str] = Counter()

    def __call__(self, text: str) -> str:
        """Write a text with aliases in it: the same for the same, and never the same for another."""
        return _DRAWN.sub(self._alias, text)

    def _alias(self, found: re.Match[str]) -> str:
        raw = found[0]
        if raw not in self._known:
            self._counts[self.after] += 1
            self._known[raw] = f"<{self.after}.{self._counts[self.after]}>"
        return self._known[raw]


class Texts:
    """Texts of values that never change, each written once; the value is kept, so that its identity stays its own."""

    def __init__(self) -> None:
        self._written: dict[int, tuple[object, str]] = {}

    def of(self, value: T, write: Callable[[T], str]) -> str:
        """Return the text of a value."""
        found = self._written.get(id(value))
        if found is None:
            found = self._written[id(value)] = value, write(value)
        return found[1]

    def state(self, state: State) -> str:
        """Write what PVE knows."""
        return self.of(state, self._state)

    def _state(self, state: State) -> str:
        if state.pools:
            raise TypeError("pools are not written")
        users = [(userid, self.of(user, of_user)) for userid, user in state.users.items()]
        acl = [(path, self.of(node, of_node)) for path, node in state.acl.items()]
        return repr((users, acl, self.of(state.groups, repr), self.of(state.roles, of_roles)))


def of_user(user: User) -> str:
    """Write a user, in the order in which PVE lists its tokens."""
    tokens = [(name, it.secret, it.privsep, it.expire, it.comment) for name, it in user.tokens.items()]
    return repr((user.enable, user.expire, sorted(user.groups), user.password, user.profile, user.factors, tokens))


def of_node(node: AclNode) -> str:
    """Write the entries at a path."""
    return repr([(tuple(holder), roles) for holder, roles in node.items()])


def of_roles(roles: Mapping[str, frozenset[str]]) -> str:
    """Write the privileges of roles, which are many, in short."""
    return digested(repr([(name, sorted(privileges)) for name, privileges in roles.items()])).hex()


def of_record(stored: Stored) -> str:
    """Write what a record holds, in its order, and its version."""
    return f"{list(shown(stored).items())} version={stored.version}"


def of_content(stored: Stored) -> str:
    """Write what a record holds."""
    return repr(list(shown(stored).items()))


def of_answer(label: str, answer: object) -> str:
    """Write what a call was answered. Raises: ``TypeError`` for something that no call is answered."""
    match answer:
        case Stored():
            return of_record(answer)
        case str() if label.startswith("write "):
            return f"version={answer}"
        case None | str() | int() | list() | dict():
            return repr(answer)
        case RotatorError():
            return repr((type(answer).__name__, str(answer), answer.hint))
        case BaseException():
            return repr(answer)
    raise TypeError(f"{label} was answered with a {type(answer).__name__}, which nobody has said how to write")


def of_watch(watch: Watch) -> str:
    """Write what a watch still looks for. Raises: ``TypeError``."""
    return repr([(name, in_order(it)) for name, it in vars(watch).items() if name not in _SAME and name not in _IDLE])


def in_order(value: object) -> object:
    """Put something without an order into one. Raises: ``TypeError``."""
    match value:
        case dict():
            return [(key, in_order(it)) for key, it in sorted(value.items())]
        case set():
            return sorted(value)
        case list():
            return list(map(in_order, value))
        case bool() | int() | float() | str():
            return value
    raise TypeError(f"a watch has a {type(value).__name__}, which nobody has said how to write")


def digested(text: str, after: bytes = b"") -> bytes:
    """Make a short thing of a text and of what was before it; different for different ones."""
    return blake2b(after + text.encode(), digest_size=16).digest()


class Situation(Witness):
    """Follows one schedule call by call, and tells where it stands."""

    def __init__(self, world: World, watch: Watch, programs: int) -> None:
        self._world, self._watch, self._texts = world, watch, Texts()
        self._aliases = Aliases()
        self._told = [b""] * programs
        """Of each program, a digest of all that it was told."""
        self._around = ""
        self._looked: object = None
        self._look()

    def called(self, number: int, label: str, call: Callable[[], T], /) -> T:
        """Do a program's call, and take in what it was told."""
        began = self._world.clock.seconds
        try:
            answer = call()
        except BaseException as error:
            self._hear(number, label, began, error)
            raise
        self._hear(number, label, began, answer)
        return answer

    def died(self, number: int, /) -> None:
        """Take in that a program was ended."""
        self._tell(number, "died")

    def _hear(self, number: int, label: str, began: float, answer: object) -> None:
        self._aliases.after = str(number)
        text = self._aliases(f"{label}\0{began}\0{self._world.clock.seconds}\0{of_answer(label, answer)}")
        self._look()
        if isinstance(answer, UnauthenticatedError):  # an operator who is refused looks at its record, without a call
            text += self._around
        self._tell(number, text)

    def _tell(self, number: int, text: str) -> None:
        self._told[number] = digested(text, self._told[number])

    def _look(self) -> None:
        """Look at the world, so that what is new in it gets its names."""
        state, records = self._world.state, self._world.store.records
        seen = (id(state), *map(id, records.values()))
        if seen != self._looked:
            self._looked = seen
            held = [(name, self._texts.of(it, of_record)) for name, it in sorted(records.items())]
            self._around = self._aliases(repr((self._texts.state(state), held)))

    def digest(self, players: Sequence[Player], before: int | None) -> bytes:
        """Say where all stand."""
        self._look()
        world = self._world
        past = list(dict.fromkeys((name, self._texts.of(it, of_content)) for name, it in world.store.history))
        stand = [(told, it.label, it.is_over) for told, it in zip(self._told, players, strict=True)]
        whole = repr((world.clock.seconds, world.drawn, past, of_watch(self._watch), stand, before))
        return digested(self._around + self._aliases(whole))

"""One YAML document as plain data that remembers where each part of it stands.

Built from PyYAML's events (libyaml's, where PyYAML has it). Not taken: PyYAML's composer and constructor, because the
C one recurses without a limit (100,000 nested lists kill the process) and neither tells a tag that was written from one
that was resolved; ruamel.yaml, which remembers lines too but needs a minute for 10,000 credentials.

Scalars are read as YAML 1.2 reads them, which is what editors expect: ``no``, ``on`` and ``12:30`` are text. A number
with a leading zero is text too, for YAML 1.1 and 1.2 disagree what it means.

Of the credentials only their data is kept, because where each of their parts stands takes five times as much memory.
Whoever asks for it, to complain of something or to change it, has that one credential's text read once more.

No problem repeats a value, the name of an anchor, alias or tag, or a key below a key whose value is a secret: a
password that was written without quotes may look like any of them.
"""

from __future__ import annotations

import re
from array import array
from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, ClassVar

import yaml

from rotator.faults import Problem

Loc = tuple[str | int, ...]
"""The way to a part of the document: keys and indexes."""

LOADER: Any = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
SECRET_KEYS = frozenset({"token_secret", "password", "totp", "secret"})
"""What stands below these keys is not repeated."""
LONG = "credentials"
"""The key at the top below which there may be a great deal."""
DEEPEST = 32
_QUOTE = "if a value begins with one of * & ! % @ ` [ { | > write it in quotes"
_WORDS: Mapping[str, bool | None] = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
}
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})")
_DECIMAL = re.compile(r"[-+]?[0-9]{1,15}\.[0-9]{1,15}")
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_MARK = "\ufeff"
"""Some editors write it at the beginning; libyaml does not count it, PyYAML does."""
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(slots=True, eq=False)
class Node:
    """A part of the document. Lines and columns count from 0, as PyYAML's do; ``style`` is ``{`` in flow style."""

    line: int
    column: int
    end_line: int
    end_column: int
    value: Any
    style: str
    is_open: bool = False
    """Its end has not been seen yet."""


_NOTHING = Node(0, 0, 0, 0, None, "")


@dataclass(slots=True, eq=False)
class MappingNode(Node):
    """``members`` is what each key holds, merged keys included, and ``keys`` is where that key stands."""

    keys: dict[str, Node] = field(default_factory=dict)
    members: dict[str, Node] = field(default_factory=dict)
    merged: list[MappingNode] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class ListNode(Node):
    """A list with its items in order."""

    items: list[Node] | LongList = field(default_factory=list)


class Document:
    """What a file says, and where."""

    def __init__(self, root: Node) -> None:
        self.root = root
        self.data: Any = root.value

    def node(self, loc: Loc) -> Node | None:
        """Return the part at the end of the way, None when the way leads nowhere."""
        node: Node | None = self.root
        for step in loc:
            node = _step(node, step) if node else None
        return node

    def problem(self, loc: Loc, message: str, advice: str = "") -> Problem:
        """Make a problem of the key that the way ends at, or of the last on the way that is there."""
        node, mark = self.root, self.root
        for step in loc:
            inner = _step(node, step)
            if inner is None:
                break
            mark = node.keys[step] if isinstance(node, MappingNode) and isinstance(step, str) else inner
            node = inner
        return Problem(mark.line + 1, mark.column + 1, spell_way(loc, self._credential), message, advice)

    def _credential(self, loc: Loc) -> str:
        node = self.node((*loc, "name"))
        return node.value if node and isinstance(node.value, str) and _NAME.fullmatch(node.value) else ""


def _step(node: Node, step: str | int) -> Node | None:
    if isinstance(step, str):
        return node.members.get(step) if isinstance(node, MappingNode) else None
    return node.items[step] if isinstance(node, ListNode) and step < len(node.items) else None


def spell_way(loc: Loc, name: Callable[[Loc], str] = lambda _: "") -> str:
    """Spell a way for people, items by name where they have one: ``credentials[ci].windows[0].cron``."""
    spelled = ""
    for depth, step in enumerate(_shown(loc)):
        if isinstance(step, int):
            spelled += f"[{(depth == 1 and name(loc[: depth + 1])) or step}]"
        else:
            spelled += f".{step}" if spelled else step
    return spelled


def _shown(loc: Loc) -> Loc:
    hushed = next((depth for depth, step in enumerate(loc) if step in SECRET_KEYS), len(loc))
    return loc[: hushed + 1]


class _UnreadableError(Exception):
    """The rest of the text cannot be read."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


def read_document(text: str, *, loader: Any = LOADER) -> tuple[Document | None, list[Problem]]:  # noqa: ANN401 - yaml's
    """Read the text; no document when it is not YAML at all, but always everything that is wrong with it.

    A duplicate key is reported and its first value kept, so that the rest can be checked all the same.
    """
    anchors: dict[str, Node] = {}
    builder = _Builder(anchors, LongList(text, loader, anchors))
    try:
        root = builder.build(_events(text, loader))
    except _UnreadableError as error:
        return None, [*builder.problems, error.problem]
    if builder.is_ambiguous:
        root = _Builder({}).build(_events(text, loader))
    if root.value is None:
        return None, [Problem(0, 0, "", "the file is empty", "write at least version, owner, clusters and credentials")]
    return Document(root), builder.problems


def _events(text: str, loader: Any) -> Iterator[Any]:  # noqa: ANN401 - yaml's
    if found := _UNPRINTABLE.search(text, 1 if text.startswith(_MARK) else 0):
        line = text.count("\n", 0, found.start()) + 1
        column = found.start() - text.rfind("\n", 0, found.start())
        raise _UnreadableError(Problem(line, column, "", "a character that YAML does not allow", "remove it"))
    try:
        events = loader(text.removeprefix(_MARK))
        while events.check_event():
            yield events.get_event()
    except yaml.YAMLError as error:
        problem = _translated(error)
    else:
        return
    raise _UnreadableError(problem)


def _translated(error: yaml.YAMLError) -> Problem:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    what = re.sub(r"\s*['\"(].*", "", getattr(error, "problem", None) or "cannot be read", flags=re.DOTALL)
    return Problem(mark.line + 1 if mark else 0, mark.column + 1 if mark else 0, "", f"not YAML: {what}", _QUOTE)


class LongList:
    """The items of the long list: each is read again, from its own part of the text, when it is asked for.

    ``anchors`` are those of the whole text, each name of which must stand for one thing only.
    """

    def __init__(self, text: str, loader: Any, anchors: MutableMapping[str, Node]) -> None:  # noqa: ANN401 - yaml's
        self._text = text.removeprefix(_MARK)
        self._loader = loader
        self._anchors = anchors
        self._begins, self._ends, self._lines, self._columns = array("L"), array("L"), array("L"), array("L")
        self._last = -1, Node(0, 0, 0, 0, None, "")
        self.is_flow = False

    def begin(self, mark: Any) -> None:  # noqa: ANN401 - yaml's
        """Note where the next item begins."""
        self._begins.append(mark.index)
        self._lines.append(mark.line)
        self._columns.append(mark.column)

    def end(self, mark: Any) -> None:  # noqa: ANN401 - yaml's
        """Note where it ends."""
        self._ends.append(mark.index)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._ends)

    def __iter__(self) -> Iterator[Node]:
        """Yield one after the other."""
        return map(self.__getitem__, range(len(self)))

    def __getitem__(self, at: int) -> Node:
        """Return one; the last is remembered, as most is asked of one after the other."""
        if self._last[0] != at:
            self._last = at, self._read(at)
        return self._last[1]

    def _read(self, at: int) -> Node:
        line, column = self._lines[at], self._columns[at]
        text = " " * column + self._text[self._begins[at] : self._ends[at]]
        node, anchors = Node(line, column, line, column, None, ""), ChainMap({}, self._anchors)
        with suppress(_UnreadableError):
            if self.is_flow:
                whole = _Builder(anchors, line=line - 1).build(_events(f"[\n{text}]", self._loader))
                return whole.items[0] if isinstance(whole, ListNode) else node
            node = _Builder(anchors, line=line).build(_events(text, self._loader), node)
        return node


@dataclass(slots=True)
class _Frame:
    """A list or a mapping whose end has not been seen, and the key of it that waits for its value."""

    node: MappingNode | ListNode
    key: Node | None = None

    @property
    def wants_key(self) -> bool:
        return self.key is None and isinstance(self.node, MappingNode)


class _Builder:
    """Takes events one by one; keeps its own stack, so that depth costs no recursion.

    ``long`` takes the items of the long list, unless that has an anchor: then it may be merged elsewhere. ``anchors``
    are those that stand above, and are added to; ``line`` is where the text begins.
    """

    def __init__(self, anchors: MutableMapping[str, Node], long: LongList | None = None, line: int = 0) -> None:
        self.problems: list[Problem] = []
        self.is_ambiguous = False
        """Whether an anchor's name was used twice."""
        self._long = long
        self._line = line
        self._stack: list[_Frame] = []
        self._anchors = anchors
        self._texts: dict[str, str] = {}
        """What is said many times is kept once."""
        self._has_document = False

    def build(self, events: Iterator[Any], root: Node = _NOTHING) -> Node:
        """Build the whole; ``root`` where there is none. Raises: ``_UnreadableError``."""
        self._root = root
        for event in events:
            if take := self._takes.get(type(event)):
                take(self, event)
        return self._root

    def _start_document(self, event: Any) -> None:  # noqa: ANN401 - yaml's
        if self._has_document:
            here = Node(*self._span(event), None, "")
            raise _UnreadableError(self._problem(here, "a second document begins", "keep to one: remove the ---"))
        self._has_document = True

    def _scalar(self, event: Any) -> None:  # noqa: ANN401 - yaml's
        node = Node(*self._span(event), self._texts.setdefault(event.value, event.value), event.style or "")
        self._register(event, node)
        if self._stack and self._stack[-1].wants_key:
            self._stack[-1].key = node
            return
        if event.implicit[0]:
            node.value = _resolve(node.value)
            if node.value is None and self._stack:
                self._complain(node, "has no value", "write one, or take the key away")
        self._add(node, event)

    def _start_mapping(self, event: Any) -> None:  # noqa: ANN401 - yaml's
        self._start(event, MappingNode(*self._span(event), {}, "{" if event.flow_style else "", is_open=True))

    def _start_list(self, event: Any) -> None:  # noqa: ANN401 - yaml's
        self._start(event, ListNode(*self._span(event), [], "{" if event.flow_style else "", is_open=True))

    def _start(self, event: Any, node: MappingNode | ListNode) -> None:  # noqa: ANN401 - yaml's
        self._register(event, node)
        if len(self._stack) == DEEPEST:
            raise _UnreadableError(self._problem(node, "nested too deeply", "nothing here is nested that deep"))
        if self._long is not None and isinstance(node, ListNode) and self._is_long(event):
            self._long.is_flow = event.flow_style
            node.items, self._long = self._long, None
        self._stack.append(_Frame(node))

    def _is_long(self, event: Any) -> bool:  # noqa: ANN401 - yaml's
        key = self._stack[0].key if len(self._stack) == 1 else None
        return key is not None and key.value == LONG and event.anchor is None

    def _end(self, event: Any) -> None:  # noqa: ANN401 - yaml's
        node = self._stack.pop().node
        *_, node.end_line, node.end_column = self._span(event)
        node.is_open = False
        if isinstance(node, MappingNode):
            _fill(node)
        self._add(node, event)

    def _register(self, event: Any, node: Node) -> None:  # noqa: ANN401 - yaml's
        self._note_begin(event)
        if event.anchor is not None:
            self.is_ambiguous |= event.anchor in self._anchors
            self._anchors[event.anchor] = node
        if event.tag is not None:
            self._complain(node, "tags are not used here", f"remove the word that begins with !; {_QUOTE}")

    def _alias(self, event: Any) -> None:  # noqa: ANN401 - yaml's
        here = Node(*self._span(event), None, "")
        node = self._anchors.get(event.anchor)
        if node is None:
            raise _UnreadableError(self._problem(here, "an alias to nothing that stands above it", _QUOTE))
        if node.is_open:
            raise _UnreadableError(self._problem(here, "an alias to what it stands in", "write out what is meant"))
        self._note_begin(event)
        self._add(node, event)

    def _note_begin(self, event: Any) -> None:  # noqa: ANN401 - yaml's
        above = self._stack[-1].node if self._stack else None
        if isinstance(above, ListNode) and isinstance(above.items, LongList):
            above.items.begin(event.start_mark)

    def _add(self, node: Node, event: Any) -> None:  # noqa: ANN401 - yaml's
        if not self._stack:
            self._root = node
            return
        frame = self._stack[-1]
        if isinstance(frame.node, ListNode):
            frame.node.value.append(node.value)
            if isinstance(frame.node.items, LongList):
                frame.node.items.end(event.end_mark)
            else:
                frame.node.items.append(node)
        elif frame.key is None:
            frame.key = node  # a list, a mapping or an alias as key: told when its value is there
        else:
            key, frame.key = frame.key, None
            self._add_member(frame.node, key, node)

    def _add_member(self, mapping: MappingNode, key: Node, member: Node) -> None:
        if not isinstance(key.value, str):
            self._complain(key, "a key that is not text", f"keys are words; {_QUOTE}")
        elif key.value == "<<" and not key.style:
            self._merge(mapping, key, member)
        elif key.value in mapping.members:
            line = mapping.keys[key.value].line + 1
            named = "" if SECRET_KEYS.intersection(self._loc()) else f" '{key.value}'"
            self._complain(key, f"duplicate key{named}", f"it stands on line {line} already: keep one")
        else:
            mapping.keys[key.value] = key
            mapping.members[key.value] = member

    def _merge(self, mapping: MappingNode, key: Node, member: Node) -> None:
        sources = member.items if isinstance(member, ListNode) else [member]
        mappings = [source for source in sources if isinstance(source, MappingNode)]
        mapping.merged.extend(mappings)
        if len(mappings) < len(sources):
            self._complain(key, "<< merges mappings only", "write <<: *anchor, the anchor being on a mapping")

    def _complain(self, node: Node, message: str, advice: str) -> None:
        self.problems.append(self._problem(node, message, advice))

    def _problem(self, node: Node, message: str, advice: str) -> Problem:
        return Problem(node.line + 1, node.column + 1, spell_way(self._loc()), message, advice)

    def _loc(self) -> Loc:
        loc: list[str | int] = []
        for frame in self._stack:
            if isinstance(frame.node, ListNode):
                loc.append(len(frame.node.value))
            elif frame.key and isinstance(frame.key.value, str):
                loc.append(frame.key.value)
        return tuple(loc)

    def _span(self, event: Any) -> tuple[int, int, int, int]:  # noqa: ANN401 - yaml's
        start, end = event.start_mark, event.end_mark
        return start.line + self._line, start.column, end.line + self._line, end.column

    _takes: ClassVar[Mapping[type, Callable[[_Builder, Any], None]]] = {
        yaml.ScalarEvent: _scalar,
        yaml.MappingStartEvent: _start_mapping,
        yaml.SequenceStartEvent: _start_list,
        yaml.MappingEndEvent: _end,
        yaml.SequenceEndEvent: _end,
        yaml.AliasEvent: _alias,
        yaml.DocumentStartEvent: _start_document,
    }
    """Not made for each builder, which would be a cycle of references then, and a great deal of garbage."""


def _fill(mapping: MappingNode) -> None:
    for source in mapping.merged:
        for key, member in source.members.items():
            if key not in mapping.members:
                mapping.members[key], mapping.keys[key] = member, source.keys[key]
    mapping.value.update([(key, member.value) for key, member in mapping.members.items()])


def _resolve(text: str) -> object:
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _DECIMAL.fullmatch(text) else text

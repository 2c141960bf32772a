"""Change one flag of one credential in the configuration file, or add credentials, and not a single other byte.

Not taken: ruamel.yaml, which writes the whole file anew (its quotes, indents and line ends are close to the old ones,
not equal) and takes a minute for 10,000 credentials. The text is changed at the marks of the node, then read again: if
anything but that flag came out differently, nothing is written.
"""

from __future__ import annotations

import os
import re
import stat
import tempfile
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from rotator.config_assembly import parse_text, read_text
from rotator.config_shape import problems_of
from rotator.errors import ConfigError
from rotator.faults import InvalidConfigError, suggestion
from rotator.yaml_lines import Document, ListNode, MappingNode, Node, read_document

_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
"""What YAML 1.1, and so libyaml's line numbers, take for the end of a line."""


def pause(path: Path, name: str) -> bool:
    """Set ``paused: true`` of a credential. See ``set_flag``."""
    return set_flag(path, name, "paused", value=True)


def resume(path: Path, name: str) -> bool:
    """Set ``paused: false`` of a credential that is paused. See ``set_flag``."""
    return set_flag(path, name, "paused", value=False)


def add_credentials(path: Path, items: Sequence[Mapping[str, Any]], check: Callable[[Path], object]) -> str:
    """Add credentials at the end of the list, each as one block; returns the lines that were added.

    ``check`` is given the new file under another name beside the old one, and raises for what is wrong with it.

    Crash: the old file or the new one.
    Raises: ``InvalidConfigError``; ``ConfigError`` when the list is written in a way that cannot be added to.
    """
    text = read_text(path)
    document = _valid(path, text)
    added, changed = _added(text, document, items)
    wanted: Any = deepcopy(document.data)
    wanted["credentials"] += [dict(item) for item in items]
    after, problems = read_document(changed)
    if after is None or problems or after.data != wanted:
        hint = "add these lines by hand:\n" + added
        raise ConfigError("the list of credentials cannot be added to; nothing was written", hint=hint)
    try:
        replace_file(path.resolve(), changed.encode(), check)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}", hint="add by hand:\n" + added) from None
    return added


def _added(text: str, document: Document, items: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    """Write the items as a block and put it behind the last line that the list has."""
    found = document.node(("credentials",))
    column = found.column if found and found.style != "{" else 0
    lines = [" " * column + line for line in block_of(items).splitlines()]
    where = _Text.of(text)
    at, line_break = where.end_of(_last_line(found) if found else 0)
    return "\n".join(lines), text[:at] + line_break + line_break.join(lines) + text[at:]


def block_of(items: Sequence[Mapping[str, Any]]) -> str:
    """Write credentials as a list in YAML."""
    return yaml.safe_dump([dict(item) for item in items], sort_keys=False, default_flow_style=None, width=1000)


def _last_line(node: Node) -> int:
    """Return the last line that has content of a node; the end of a block is only where the next thing begins."""
    if isinstance(node, ListNode) and node.items and node.style != "{":
        return max(map(_last_line, node.items))
    if isinstance(node, MappingNode) and node.members and node.style != "{":
        own = (member for key, member in node.members.items() if _is_within(node.keys[key], node))
        return max(map(_last_line, own), default=node.line)  # nothing but what is merged: <<: *anchor
    return node.end_line


def set_flag(path: Path, name: str, key: str, *, value: bool) -> bool:
    """Set a flag of a credential in the file; returns whether that changed anything.

    The shape of the file is checked before and after; backends and secrets are not looked at.

    Repeat: nothing changes.
    Crash: the old file or the new one.
    Raises: ``InvalidConfigError``; ``ConfigError`` when there is no such credential, or it is written in a way that
    cannot be changed without changing something else.
    """
    text = read_text(path)
    document = _valid(path, text)
    index, node = _credential(document, path, name)
    if node.value.get(key, False) is value:
        return False
    changed = _changed(text, node, key, value=value)
    _check(document, changed, index, key, value=value)
    try:
        replace_file(path.resolve(), changed.encode())
    except OSError as error:
        hint = f"write {key}: {str(value).lower()} where the file comes from"
        raise ConfigError(f"{path} cannot be written: {error.strerror}", hint=hint) from None
    return True


def _valid(path: Path, text: str) -> Document:
    document, problems = parse_text(path, text)
    problems += problems_of(document)
    if problems:
        raise InvalidConfigError(path, problems)
    return document


def _credential(document: Document, path: Path, name: str) -> tuple[int, MappingNode]:
    credentials = document.node(("credentials",))
    items = credentials.items if isinstance(credentials, ListNode) else []
    for index, item in enumerate(items):
        if isinstance(item, MappingNode) and item.value["name"] == name:
            return index, item
    names = [item.value["name"] for item in items]
    raise ConfigError(f"{path} has no credential '{name}'", hint=suggestion(name, names))


@dataclass(frozen=True, slots=True)
class _Text:
    """A text whose places are found by line and column, as marks give them."""

    text: str
    starts: tuple[int, ...]

    @classmethod
    def of(cls, text: str) -> _Text:
        return cls(text, (0, *(found.end() for found in _BREAK.finditer(text))))

    def at(self, line: int, column: int) -> int:
        return self.starts[line] + column

    def end_of(self, line: int) -> tuple[int, str]:
        """Return where the line's text ends, and the line break that ends it or another line."""
        found = _BREAK.search(self.text, self.starts[line])
        if found:
            return found.start(), found[0]
        usual = _BREAK.search(self.text)
        return len(self.text), usual[0] if usual else "\n"


def _changed(text: str, credential: MappingNode, key: str, *, value: bool) -> str:
    lines, word = _Text.of(text), "true" if value else "false"
    own = credential.keys.get(key)
    if own is not None and _is_within(own, credential):
        old = credential.members[key]
        start, end = lines.at(old.line, old.column), lines.at(old.end_line, old.end_column)
        return f"{text[:start]}{word}{text[end:]}"
    name, named = credential.keys["name"], credential.members["name"]
    if credential.style == "{":
        quote = '"' if name.style == '"' else ""
        at = lines.at(named.end_line, named.end_column)
        return f"{text[:at]}, {quote}{key}{quote}: {word}{text[at:]}"
    at, line_break = lines.end_of(named.end_line)
    return f"{text[:at]}{line_break}{' ' * name.column}{key}: {word}{text[at:]}"


def _is_within(inner: Node, outer: Node) -> bool:
    """Say whether a key stands in the mapping itself, and was not merged into it from elsewhere."""
    begins = (outer.line, outer.column) <= (inner.line, inner.column)
    return begins and (inner.line, inner.column) < (outer.end_line, outer.end_column)


def _check(before: Document, changed: str, index: int, key: str, *, value: bool) -> None:
    wanted: Any = deepcopy(before.data)
    wanted["credentials"][index] = {**wanted["credentials"][index], key: value}
    after, problems = read_document(changed)
    if after is None or problems or after.data != wanted or problems_of(after):
        message = f"'{key}' cannot be set here without changing something else; nothing was written"
        raise ConfigError(
            message,
            hint=f"write {key}: {str(value).lower()} by hand: the credential is in line "
            f"{before.problem(('credentials', index), '').line}",
        )


def replace_file(target: Path, content: bytes, check: Callable[[Path], object] = Path.stat) -> None:
    """Write a file anew, for the same owner, group and mode. Crash: the old one or the new one. Raises: ``OSError``."""
    state = target.stat()
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            _keep_owner(descriptor, state)
            os.fchmod(descriptor, stat.S_IMODE(state.st_mode))
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        check(Path(name))
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    _sync_folder(target.parent)


def _keep_owner(descriptor: int, state: os.stat_result) -> None:
    """Give the new file to whom the old one belongs. Raises: ``OSError`` where somebody would lose it by that."""
    try:
        os.fchown(descriptor, state.st_uid, state.st_gid)
    except PermissionError:  # only root gives files away, or to a group that it is not in
        if state.st_uid != os.geteuid() or state.st_mode & stat.S_IRWXG:
            raise


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

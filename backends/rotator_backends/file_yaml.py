"""YAML records: what is not ours stays to the byte.

PyYAML finds where each value of the top level stands, and only that is replaced. ruamel.yaml was not taken: its round
trip keeps comments, but writes the whole file anew, and so rewrites numbers, blanks and the ends of texts.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

import yaml

from rotator_backends.file_formats import ContentError

_ENDLESS = 2**30
"""Columns: no line is folded."""
_TEXT = "tag:yaml.org,2002:str"
_PLAIN = {_TEXT, *(f"tag:yaml.org,2002:{kind}" for kind in ("int", "float", "bool", "timestamp"))}
_PLAIN_KEY = re.compile(r"(?!(?:y|n|yes|no|on|off|true|false|null)\Z)[a-z_][a-z0-9_-]*", re.IGNORECASE)
"""A key that YAML 1.1 too reads as text without quotes."""

_Pair = tuple[yaml.ScalarNode, yaml.Node]


class YamlCodec:
    """A YAML mapping, one document; numbers are read as they are written."""

    def fields(self, text: str) -> dict[str, str]:
        """Return the fields; an empty document has none, and null is none."""
        return {key.value: str(value.value) for key, value in _pairs(_mapping(text)) if value.tag in _PLAIN}

    def changed(self, text: str, changes: Mapping[str, str]) -> str:
        """Replace the values where they stand, and put what is new at the end.

        Values are in double quotes, which YAML 1.1 (Ansible) and 1.2 read alike.
        """
        root = _mapping(text)
        pairs = _pairs(root)
        known = {key.value for key, _ in pairs}
        missing = {key: value for key, value in changes.items() if key not in known}
        new = _with_entries(text, root, missing)
        for key, value in reversed(pairs):
            if key.value in changes:
                new = _replaced(new, key, value, changes[key.value])
        return new


def _mapping(text: str) -> yaml.MappingNode | None:
    where = "it is no mapping of YAML"
    try:
        found = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        where = f"it is not YAML: line {error.problem_mark.line + 1}" if error.problem_mark else "it is not YAML"
    except yaml.YAMLError:
        where = "it is not YAML: it has a control character"
    except (ValueError, OverflowError):  # of an escape or a version that PyYAML takes for a number of any size
        where = "it is not YAML: it has a number that is too large"
    except RecursionError:
        where = "it is nested too deeply"
    else:
        if found is None or (isinstance(found, yaml.ScalarNode) and not found.value and not found.style):
            return None
        if isinstance(found, yaml.MappingNode):
            return found
    raise ContentError(where)


def _pairs(root: yaml.MappingNode | None) -> list[_Pair]:
    """Return the keys that are texts, with their values.

    Raises: ``ContentError`` when one is there twice: readers would not agree on which counts.
    """
    entries = root.value if root else []
    pairs = [(key, value) for key, value in entries if isinstance(key, yaml.ScalarNode) and key.tag == _TEXT]
    for key, count in Counter(key.value for key, _ in pairs).items():
        if count > 1:
            raise ContentError(f"its key {key!a} is there {count} times")
    return pairs


def _replaced(text: str, key: yaml.ScalarNode, value: yaml.Node, new: str) -> str:
    start, end = value.start_mark.index, value.end_mark.index
    if not isinstance(value, yaml.ScalarNode) or start < key.end_mark.index:
        raise ContentError(f"its key {key.value!a} holds a structure or an alias, which is not ours to replace")
    old = text[start:end]
    blanks = old[len(old.rstrip()) :]  # a text in a block reaches over the line end
    return f"{text[:start]}{'' if old else ' '}{_quoted(new)}{blanks}{text[end:]}"


def _with_entries(text: str, root: yaml.MappingNode | None, missing: Mapping[str, str]) -> str:
    entries = [f"{key if _PLAIN_KEY.fullmatch(key) else _quoted(key)}: {_quoted(new)}" for key, new in missing.items()]
    if not entries:
        return text
    if root is not None and root.flow_style:
        return _with_flow_entries(text, root, entries)
    at = root.end_mark.index if root else len(text)
    indent = " " * root.start_mark.column if root else ""
    line_end = "\n" if at and text[at - 1] != "\n" else ""
    return text[:at] + line_end + "".join(f"{indent}{entry}\n" for entry in entries) + text[at:]


def _with_flow_entries(text: str, root: yaml.MappingNode, entries: list[str]) -> str:
    at = root.value[-1][1].end_mark.index if root.value else root.start_mark.index + 1
    return text[:at] + (", " if root.value else "") + ", ".join(entries) + text[at:]


def _quoted(text: str) -> str:
    return yaml.safe_dump(text, default_style='"', allow_unicode=True, width=_ENDLESS).rstrip("\n")

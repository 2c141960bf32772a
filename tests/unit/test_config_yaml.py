"""YAML is read strictly, with lines, and whatever stands in it the answer is a list of problems."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from rotator.config import InvalidConfigError, load
from rotator.yaml_lines import DEEPEST, ListNode, Loc, MappingNode, Node, read_document
from tests.unit.config_world import config, find, problems, read

LOADERS = [yaml.SafeLoader, *([yaml.CSafeLoader] if yaml.__with_libyaml__ else [])]
SCALARS = [
    ("true", True),
    ("False", False),
    ("yes", "yes"),
    ("no", "no"),
    ("on", "on"),
    ("12", 12),
    ("-3", -3),
    ("0", 0),
    ("0640", "0640"),
    ("0x10", "0x10"),
    ("12:30", "12:30"),
    ("1_000", "1_000"),
    ("1.5", 1.5),
    ("2024-01-01", "2024-01-01"),
    ("9" * 19, "9" * 19),
    ("'12'", "12"),
    ('"true"', "true"),
    ("''", ""),
    ("30d", "30d"),
    (".inf", ".inf"),
    ("|\n  two\n  lines\n", "two\nlines\n"),
]
BROKEN = [
    ("a: 1\na: 2\n", 2, 1, "duplicate key 'a'", "line 1"),
    ("a:\n  - {b: 1, c: 2, b: 3}\n", 2, 18, "duplicate key 'b'", "line 2"),
    ("a: !!python/object:os.system x\n", 1, 4, "tags are not used here", "!"),
    ("a: !!str 1\n", 1, 4, "tags are not used here", "!"),
    ("a: !mine {b: 1}\n", 1, 4, "tags are not used here", "!"),
    ("a: 1\n---\nb: 2\n", 2, 1, "a second document begins", "remove the ---"),
    ("a: *nowhere\n", 1, 4, "an alias to nothing", "in quotes"),
    ("a: &a [*a]\n", 1, 8, "an alias to what it stands in", "write out"),
    ("a: 1\n<<: 2\n", 2, 1, "<< merges mappings only", "*anchor"),
    ("a: 1\n<<: [{b: 1}, 2]\n", 2, 1, "<< merges mappings only", "*anchor"),
    ("a: 1\n? [b]\n: 2\n", 2, 3, "a key that is not text", "keys are words"),
    ("a: 1\nb:\n", 2, 3, "has no value", "take the key away"),
    ("a: [1, ~]\n", 1, 8, "has no value", "write one"),
    ("a: 1\n b: 2\n", 2, 3, "not YAML", "in quotes"),
    ("a: [1\n", 2, 1, "not YAML", "in quotes"),
    ("a: 1\n\tb: 2\n", 2, 1, "not YAML", "in quotes"),
    ("a: 1\nb: \x07\n", 2, 4, "a character that YAML does not allow", "remove it"),
    ("[" * 100, 1, DEEPEST + 1, "nested too deeply", ""),
    ("- " * 100_000, 1, 2 * DEEPEST + 1, "nested too deeply", ""),
]
BLOCK = """x: &one {a: 1}
credentials: # the list
-
- word
- |
  some text
   indented
-   a: |2
        indented
    b: x
    # a comment

    c: [1,
 2]
- ! {a: 1}
- &two
  name: b
  <<: *one
- *two
- - a
  - b: c
- ? [a]
  : b
-
 <<: [*one, {q: 1}]
 é: "😀"
 z: *two
y: 1
"""
FLOW = """x: &one {a: 1}
credentials: # the list
  [
{name: a, "x":b, <<: *one}, [a: b, c: d], {name: b,
every: 1d, t: "two
  lines"}, *one, a: b, ? q
 : r, word, 'é😀', &two {z: *one}, *two ]
y: *two
"""


@pytest.mark.parametrize("loader", LOADERS)
@pytest.mark.parametrize(("text", "value"), SCALARS)
def test_scalars_are_read_as_editors_read_them(text: str, value: object, loader: Any) -> None:  # noqa: ANN401 - yaml's
    """YAML 1.2: only true and false are booleans, no clock times, no dates; a leading zero makes it text."""
    document, found = read_document(f"a: {text}\n", loader=loader)
    assert document
    assert document.data == {"a": value}
    assert type(document.data["a"]) is type(value)
    assert not found


@pytest.mark.parametrize("loader", LOADERS)
@pytest.mark.parametrize(("text", "line", "column", "message", "advice"), BROKEN)
def test_what_is_not_plain_yaml_is_told_at_its_place(  # noqa: PLR0917 - a table
    text: str,
    line: int,
    column: int,
    message: str,
    advice: str,
    loader: Any,  # noqa: ANN401 - yaml's
) -> None:
    """With libyaml and without, the line is the same."""
    _, (problem,) = read_document(text, loader=loader)
    assert message in problem.message
    assert advice in problem.advice
    assert problem.line == line
    if "not YAML" not in problem.message:  # the two name different ends of what they did not understand
        assert problem.column == column


@pytest.mark.parametrize("text", ["", "\n", "# nothing\n", "---\n", "~\n", "\ufeff"])
def test_an_empty_file_is_told_as_such(tmp_path: Path, text: str) -> None:
    """There is no line to speak of, and what is needed at least is said."""
    (problem,) = problems(tmp_path, text)
    assert (problem.line, problem.message) == (0, "the file is empty")
    assert "version, owner, clusters and credentials" in problem.advice


@pytest.mark.parametrize("text", ["- a\n", "a\n", "12\n"])
def test_a_file_that_is_no_mapping_is_told_as_such(tmp_path: Path, text: str) -> None:
    """A list or a word is not a configuration."""
    (problem,) = problems(tmp_path, text)
    assert (problem.line, problem.where, problem.message) == (1, "", "not a mapping")


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    """With its path, and without a line."""
    with pytest.raises(InvalidConfigError, match=r"none\.yaml: cannot be read: No such file or directory"):
        load(tmp_path / "none.yaml", find_backend=find, environ={})


def test_a_file_in_another_encoding_is_told(tmp_path: Path) -> None:
    """UTF-8 is the one that is read."""
    (problem,) = problems(tmp_path, config().encode("utf-16"))
    assert problem.message == "not UTF-8"


@pytest.mark.parametrize("change", [str, lambda text: "\ufeff" + text, lambda text: text.replace("\n", "\r\n")])
def test_marks_of_windows_do_no_harm(tmp_path: Path, change: Any) -> None:  # noqa: ANN401 - a function
    """A byte order mark, and line ends of two characters."""
    assert read(tmp_path, change(config())).owner == "homelab"


def test_the_first_of_duplicate_keys_is_checked_all_the_same(tmp_path: Path) -> None:
    """A duplicate does not hide what else is wrong."""
    text = config(credential={"every": "30\n    every: 30d"})
    assert [problem.message for problem in problems(tmp_path, text)] == [
        "a number without a unit",
        "duplicate key 'every'",
    ]


def test_merged_keys_are_kept_unless_written(tmp_path: Path) -> None:
    """What stands beside << wins, an earlier source wins over a later one; nothing of it is a duplicate."""
    more = "  - {<<: [*one, *two], name: cd, destination: {path: cd}}\nx-one: {a: 1}\n"
    anchors = "x-common: [&one {cluster: home, user: cd@pve}, &two {user: other@pve, every: 7d}]\n"
    loaded = read(tmp_path, anchors + config(more=more)).credentials[1]
    assert (loaded.name, loaded.cluster, loaded.userid, loaded.every.days) == ("cd", "home", "cd@pve", 7)


def test_a_problem_in_a_merged_key_is_told_where_it_stands(tmp_path: Path) -> None:
    """The line is the anchor's, which is where it must be corrected."""
    text = "x-one: &one {every: 30}\n" + config(credential={"<<": "*one"})
    (problem,) = problems(tmp_path, text)
    assert (problem.line, problem.where) == (1, "credentials[ci].every")


def stands(node: Node | None) -> object:
    """Tell where a part and all that is in it stands."""
    if node is None:
        return None
    about = (type(node), node.line, node.column, node.end_line, node.end_column, node.style, node.value)
    match node:
        case MappingNode(keys=keys, members=members):
            return about, [(key, stands(keys[key]), stands(member)) for key, member in members.items()]
        case ListNode(items=items):
            return about, [stands(item) for item in items]
    return about


@pytest.mark.parametrize("loader", LOADERS)
@pytest.mark.parametrize("change", [str, lambda text: "\ufeff" + text, lambda text: text.replace("\n", "\r\n")])
@pytest.mark.parametrize("text", [BLOCK, FLOW, BLOCK.replace("y: ", "y: &one ")])
def test_a_credential_that_is_read_again_stands_where_it_stood(text: str, change: Any, loader: Any) -> None:  # noqa: ANN401 - a function, and yaml's
    """Its parts are not kept; those of a list with an anchor are, and all of them have the same places."""
    again, _ = read_document(change(text), loader=loader)
    kept, _ = read_document(change(text.replace("# the list", "&all")), loader=loader)
    assert again
    assert kept
    many = len(again.data["credentials"])
    ways: list[Loc] = [("x",), ("y",), *(("credentials", at) for at in range(many))]
    assert [stands(again.node(way)) for way in ways] == [stands(kept.node(way)) for way in ways]


def test_credentials_can_be_merged_elsewhere_all_at_once() -> None:
    """A list with an anchor is kept with its parts; the first of several has its way, as everywhere."""
    document, found = read_document("credentials: &all\n  - {a: 1}\n  - {a: 2, b: 3}\nx: {<<: *all}\n")
    assert document
    assert not found
    assert document.data["x"] == {"a": 1, "b": 3}


def test_aliases_of_aliases_cost_nothing(tmp_path: Path) -> None:
    """What would be a billion items when written out is one object here."""
    lines = ["x-0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"x-{at}: &a{at} [{', '.join([f'*a{at - 1}'] * 9)}]" for at in range(1, 12)]
    assert read(tmp_path, "\n".join([*lines, config()])).owner == "homelab"

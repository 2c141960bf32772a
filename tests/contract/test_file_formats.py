"""What people have written in a record's file stays as they wrote it, and consumers read what we write."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from rotator_backends.file_formats import ContentError, Format, codec, decoded, encoded

ID = "ci@pve!ci-2-abcde"
SECRET = "00000002-5ec7-4e75-8000-c0ffee000000"
OURS = {"token_id": ID, "token_secret": SECRET}


def changed(kind: Format, text: str, changes: Mapping[str, str] = OURS) -> str:
    """Change a text."""
    return encoded(kind, text, changes).decode()


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (Format.JSON, f'{{\n  "token_id": "{ID}",\n  "token_secret": "{SECRET}"\n}}\n'),
        (Format.ENV, f"token_id={ID}\ntoken_secret={SECRET}\n"),
        (Format.YAML, f'token_id: "{ID}"\ntoken_secret: "{SECRET}"\n'),
        (Format.TOKEN, f"{ID}={SECRET}\n"),
    ],
)
@pytest.mark.parametrize("before", ["", "\n"])
def test_a_new_record_looks_as_one_would_write_it(kind: Format, text: str, before: str) -> None:
    """An empty file, which somebody made to set its owner, is filled in the same way."""
    assert changed(kind, before).lstrip("\n") == text


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('{"token_id": "old", "n": 1}', '{"token_id": "ID", "n": 1, "token_secret": "SECRET"}'),
        ('{"n":1.10,"u":"\\u00e9"}', '{"n":1.10,"u":"\\u00e9", "token_id": "ID", "token_secret": "SECRET"}'),
        ("{}", '{\n  "token_id": "ID",\n  "token_secret": "SECRET"\n}'),
        (" {  } ", ' {\n  "token_id": "ID",\n  "token_secret": "SECRET"\n} '),
        (
            '{\n\t"deep": {"token_id": ["}", 1e400]},\n\t"token_secret":null\n}\n',
            '{\n\t"deep": {"token_id": ["}", 1e400]},\n\t"token_secret":"SECRET",\n\t"token_id": "ID"\n}\n',
        ),
        (
            '{"token_id": "a", "token_secret" : 5 , "token_id": "b"}',
            '{"token_id": "ID", "token_secret" : "SECRET" , "token_id": "ID"}',
        ),
    ],
)
def test_json_that_is_not_ours_stays_to_the_byte(before: str, after: str) -> None:
    """Numbers, escapes, order, indentation and structures are not rewritten; a doubled key changes twice."""
    assert changed(Format.JSON, before) == after.replace("ID", ID).replace("SECRET", SECRET)


ENV = """\
# the exporter reads this
export token_id='old'   # by hand

PVE_HOST=pve1 # the first
 token_secret = not a variable
token_secret="old \\" $x"
KEY='-----BEGIN
token_id=inside a quote
-----END'
LAST=a#b"""


def test_env_lines_that_are_not_ours_stay_to_the_byte() -> None:
    """Comments, order, export, and a quote over several lines that holds what looks like our key."""
    expected = ENV.replace("'old'", ID).replace('"old \\" $x"', SECRET)
    assert changed(Format.ENV, ENV) == expected
    assert changed(Format.ENV, ENV, {"NEW": "x"}) == f"{ENV}\nNEW=x\n"


def test_env_values_are_read_as_a_shell_reads_them() -> None:
    """Quotes are taken off, comments end a value; what a shell would have to work out is not shown."""
    text = f'{ENV}\nJOINED=\'a\'"b"\nESCAPED=a\\ b\nEMPTY=\nHASH=#x\nBLANK= # nothing\r\nDOUBLE="\\$a \\b"\nLAST=c\n'
    assert codec(Format.ENV).fields(text) == {
        "token_id": "old",
        "PVE_HOST": "pve1",
        "token_secret": 'old " $x',
        "KEY": "-----BEGIN\ntoken_id=inside a quote\n-----END",
        "EMPTY": "",
        "HASH": "#x",
        "BLANK": "",
        "DOUBLE": "$a \\b",
        "LAST": "c",
    }


def test_line_ends_of_windows_stay() -> None:
    """A carriage return is no part of a value."""
    text = "token_id=old\r\ntoken_secret=old\r\n"
    assert codec(Format.ENV).fields(text) == {"token_id": "old", "token_secret": "old"}
    assert changed(Format.ENV, text) == f"token_id={ID}\r\ntoken_secret={SECRET}\r\n"


YAML = """\
# the exporter reads this
hosts:
    - pve1 # the first
    - {name: pve2, port: 0x1f}
token_id: 'old' # by hand
limits:
   retries: 1_000
   since: 2024-01-31
   "quoted": 'single'
base: &base {a: 1}
other:
   <<: *base
   text: |
      two
      lines
# the end
"""


def test_yaml_that_is_not_ours_stays_as_it_was() -> None:
    """Comments, order, quotes, anchors, block texts, numbers and each kind's own indentation."""
    expected = YAML.replace("'old' #", f'"{ID}" #')
    assert changed(Format.YAML, YAML) == f'{expected}token_secret: "{SECRET}"\n'


@pytest.mark.parametrize("before", ["# only a remark", "---\n# only a remark\n", "{}\n", "# about {}\n", "---\n"])
def test_yaml_without_keys_keeps_its_remarks(before: str) -> None:
    """A file that was prepared with nothing but a comment in it keeps that."""
    after = changed(Format.YAML, before)
    assert codec(Format.YAML).fields(after) == OURS
    assert after.startswith(before.removesuffix("{}\n"))


@pytest.mark.parametrize(
    ("kind", "text", "fields"),
    [
        (Format.JSON, '{"a": true, "b": null, "c": [1], "d": {}, "e": 1.10, "f": "x"}', "a=true e=1.10 f=x"),
        (
            Format.YAML,
            "a: true\nb:\nc: [1]\nd: {}\ne: 0x1f\nf: x\n1: y\ng: 2024-01-31\nh: !vault z\n",
            "a=true e=0x1f f=x g=2024-01-31",
        ),
    ],
)
def test_only_what_can_be_a_text_is_a_field(kind: Format, text: str, fields: str) -> None:
    """Structures and null are somebody else's business."""
    assert codec(kind).fields(text) == dict(field.split("=") for field in fields.split())


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a: 1\n", 'a: 1\nb: "x"\n'),
        ("a: 1", 'a: 1\nb: "x"\n'),
        ("  a: 1\n  b: 2\n", '  a: 1\n  b: "x"\n'),
        ("  a: 1\n", '  a: 1\n  b: "x"\n'),
        ("b: # empty\na: 1\n", 'b: "x" # empty\na: 1\n'),
        ("b:\na: 1\n", 'b: "x"\na: 1\n'),
        ("b: |\n  two\n  lines\n\na: 1\n", 'b: "x"\n\na: 1\n'),
        ("b: two\n  lines # end\na: 1\n", 'b: "x" # end\na: 1\n'),
        ("%YAML 1.1\n---\na: yes\n...\n", '%YAML 1.1\n---\na: yes\nb: "x"\n...\n'),
        ("a: !vault |\n  x\n", 'a: !vault |\n  x\nb: "x"\n'),
        ("{a: 1, # c\n}", '{a: 1, b: "x", # c\n}'),
        ("{}", '{b: "x"}'),
        ('{"b":1,"a":2}', '{"b":"x","a":2}'),
        ("a: 1\r\nb: 2\r\n", 'a: 1\r\nb: "x"\r\n'),
    ],
)
def test_yaml_of_every_shape_is_kept(before: str, after: str) -> None:
    """A value is put where it belongs, whatever style the file is written in."""
    assert changed(Format.YAML, before, {"b": "x"}) == after


@pytest.mark.parametrize("text", ["b: &b 1\na: *b\n", "a: |\n  no line end", "{b, a: }", "null\n"])
def test_yaml_that_would_lose_something_is_left_alone(text: str) -> None:
    """An anchor that others use, a text that would grow, a style that has no place: it is refused, not guessed."""
    with pytest.raises(ContentError):
        changed(Format.YAML, text, {"b": "x", "new": "y"})


def test_an_alias_is_not_ours_to_replace() -> None:
    """What it stands for is somewhere else."""
    with pytest.raises(ContentError, match="a structure or an alias"):
        changed(Format.YAML, "a: &a 1\nb: *a\n", {"b": "x"})


@pytest.mark.parametrize(("kind", "text"), [(Format.JSON, '{"a": {"b": 1}}'), (Format.YAML, "a:\n  b: 1\n")])
def test_a_structure_is_never_replaced(kind: Format, text: str) -> None:
    """A key of ours that holds one is a misunderstanding, not a record."""
    with pytest.raises(ContentError, match="its key 'a' holds a structure"):
        encoded(kind, text, {"a": "x"})


@pytest.mark.parametrize(
    ("kind", "text", "said"),
    [
        (Format.JSON, '{"a": hunter2}', "not JSON: line 1, column 7"),
        (Format.JSON, '{\n"a": "hunter2"', "not JSON: line 2"),
        (Format.JSON, '["hunter2"]', "no object of JSON"),
        (Format.JSON, '{"hunter2": 1} {}', "not JSON: line 1, column 16"),
        (Format.JSON, "[" * 100_000, "nested too deeply"),
        (Format.ENV, "A=1\nB='hunter2\n", "line 2: a quote is not closed"),
        (Format.ENV, 'A="hunter2\\"', "line 1: a quote is not closed"),
        (Format.YAML, "a: hunter2: b", "not YAML: line 1"),
        (Format.YAML, "- hunter2", "no mapping of YAML"),
        (Format.YAML, "hunter2", "no mapping of YAML"),
        (Format.YAML, "a: 1\n---\nb: hunter2\n", "YAML"),
        (Format.YAML, "a: 1\na: hunter2\n", "key 'a' is there 2 times"),
        (Format.YAML, "a: hunter2\x01", "a control character"),
        (Format.YAML, "[" * 500, "nested too deeply"),
        (Format.YAML, 'a: "hunter2\\U00110000"', "a number that is too large"),
        (Format.YAML, 'a: "hunter2\\UFFFFFFFF"', "a number that is too large"),
        (Format.YAML, f"%YAML 1.{'1' * 5000}\n---\na: hunter2\n", "a number that is too large"),
        (Format.TOKEN, "hunter2", "not one line of the form"),
        (Format.TOKEN, f"{ID}=hunter2\n{ID}=hunter2\n", "not one line of the form"),
        (Format.TOKEN, "ci@pve=hunter2", "not one line of the form"),
        (Format.TOKEN, f"{ID}=", "not one line of the form"),
    ],
)
def test_what_makes_no_sense_is_refused_without_being_shown(kind: Format, text: str, said: str) -> None:
    """The message says where, never what; the same for a read and for a write."""
    for attempt in (lambda: codec(kind).fields(text), lambda: encoded(kind, text, OURS)):
        with pytest.raises(ContentError, match=said) as caught:
            attempt()
        assert "hunter2" not in str(caught.value)
        assert caught.value.__context__ is None


@pytest.mark.parametrize("data", [b"\xff", b"\xef\xbb\xbf{}", "{}".encode("utf-16")])
def test_bytes_that_are_not_plain_utf_8_are_refused(data: bytes) -> None:
    """A byte order mark would be lost, or taken for a part of the first key."""
    with pytest.raises(ContentError, match="not UTF-8") as caught:
        decoded(data)
    assert caught.value.__context__ is None


def test_a_text_that_would_not_be_read_again_is_refused() -> None:
    """What begins with a byte order mark is refused when it is read."""
    with pytest.raises(ContentError, match="cannot take these fields"):
        encoded(Format.TEXT, "", {"ci.conf": "\ufefftoken"}, "ci.conf")


@pytest.mark.parametrize("kind", [Format.JSON, Format.ENV, Format.YAML, Format.TOKEN])
def test_half_a_character_is_refused(kind: Format) -> None:
    """It has no bytes in UTF-8, and Python's own error would carry the value."""
    for changes in ({"token_secret": "x\ud83d"}, {"x\ud83d": "x"}):
        with pytest.raises(ContentError, match="no text") as caught:
            encoded(kind, "", changes)
        assert caught.value.__context__ is None


@pytest.mark.parametrize("kind", [Format.JSON, Format.YAML])
def test_half_a_character_that_is_there_already_is_kept(kind: Format) -> None:
    """JSON and YAML can escape it; it is somebody else's, so it stays."""
    text = changed(kind, '{"a": "\\ud83d"}', {"b": "x"})
    assert text.isascii()
    assert codec(kind).fields(text) == {"a": "\ud83d", "b": "x"}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"token_id": ID}, "both and nothing else"),
        ({**OURS, "more": "x"}, "both and nothing else"),
        ({**OURS, "token_id": "ci@pve"}, "not be of the form"),
        ({**OURS, "token_secret": ""}, "be empty or have a blank"),
        ({**OURS, "token_secret": "a\nb"}, "be empty or have a blank"),
    ],
)
def test_a_token_file_holds_a_token_and_nothing_else(changes: dict[str, str], said: str) -> None:
    """Whoever reads it takes the whole line for a token."""
    with pytest.raises(ContentError, match=said):
        encoded(Format.TOKEN, "", changes)


@pytest.mark.parametrize("value", ["yes", "0777", "1:30", "null", "2024-01-31", "~", "1e3", "- a", "a: b", "a #b", ""])
def test_yaml_values_are_texts_to_every_reader(value: str) -> None:
    """Ansible reads YAML 1.1, where yes is true, 0777 is 511 and 1:30 is 90; keys such as no are quoted, too."""
    text = changed(Format.YAML, "", {"token_secret": value, "no": value, "1": value})
    assert yaml.safe_load(text) == {"token_secret": value, "no": value, "1": value}


SHELL = shutil.which("sh") or "sh"
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n\r\0"))


@settings(deadline=None, max_examples=50)
@given(value=TEXTS)
def test_a_shell_reads_what_we_write(tmp_path_factory: pytest.TempPathFactory, value: str) -> None:
    """Quoting is right for every value that an env file can hold."""
    path = tmp_path_factory.getbasetemp() / f"shell-{os.getpid()}.env"
    path.write_text(changed(Format.ENV, "", {"token_secret": value}), newline="")
    script = '. "$0"; printf %s "$token_secret"'
    run = subprocess.run([SHELL, "-c", script, str(path)], check=True, capture_output=True)  # noqa: S603 - constant
    assert run.stdout.decode() == value


def test_a_token_needs_no_quotes_in_env_files() -> None:
    """Quotes are a part of the value to docker run --env-file."""
    assert changed(Format.ENV, "", {"BOTH": f"{ID}={SECRET}"}) == f"BOTH={ID}={SECRET}\n"


@settings(deadline=None)
@given(values=st.dictionaries(TEXTS, TEXTS, max_size=5), changes=st.dictionaries(TEXTS, TEXTS, max_size=5))
@pytest.mark.parametrize("kind", [Format.JSON, Format.YAML])
def test_all_texts_are_kept(kind: Format, values: dict[str, str], changes: dict[str, str]) -> None:
    """Whatever is there and whatever is written, both are read afterwards; or it is refused, never changed."""
    text = json.dumps(values, ensure_ascii=False)
    before = re.sub("[\x85\u2028\u2029]", lambda it: f"\\u{ord(it[0]):04x}", text)  # which YAML takes for blanks
    try:
        after = changed(kind, before, changes)
    except ContentError:
        assert kind is Format.YAML
        return
    assert codec(kind).fields(after) == {**values, **changes}


@settings(deadline=None)
@given(text=st.text(st.sampled_from("aB=_ \t\r\n'\"\\#$x1")))
def test_foreign_env_lines_survive_whatever_they_are(text: str) -> None:
    """Either a text is refused, or all its lines are there in front of ours."""
    try:
        after = changed(Format.ENV, text)
    except ContentError:
        assert {"'", '"'} & set(text)
        return
    assert after == text + ("\n" if text and not text.endswith("\n") else "") + changed(Format.ENV, "")


def test_the_yaml_library_is_imported_for_yaml_files_only(tmp_path: Path) -> None:
    """Importing it takes longer than everything else that the backend does."""
    script = (
        "import sys; from rotator_backends.file import FileBackend; "
        "backend = FileBackend.configure({}); "
        "[backend.read(backend.locate({'path': sys.argv[1] + suffix})[0]) for suffix in ('.json', '.env', '.token')]; "
        "print('yaml' in sys.modules)"
    )
    for suffix in (".json", ".env", ".token"):
        (tmp_path / f"x{suffix}").touch(0o600)
    command = [sys.executable, "-c", script, str(tmp_path / "x")]
    run = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - constant
    assert run.stdout == "False\n"

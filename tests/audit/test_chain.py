"""The chain: whoever changes, removes, moves or repeats a line is found out, and it is told which line it was."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from rotator.audit.chain import START, Link, Seal, link_of, parsed
from rotator.audit.check import CHANGED, MISSING, MOVED, REPEATED, RESEALED, UNCHAINED, UNKNOWN_HASH, Verdict, check
from rotator.audit.reading import Line
from rotator.model import Secret

PATH = Path("audit.jsonl")
KEYED = Seal(lambda: Secret("a key that nobody knows"))
KEYLESS = Seal()
WORDS = st.text(max_size=20)
SOME = settings(max_examples=25)
LINES = st.lists(st.dictionaries(st.sampled_from(["kind", "credential", "message"]), WORDS), min_size=3, max_size=12)


def chain(fields: list[dict[str, Any]], seal: Seal = KEYLESS) -> list[bytes]:
    """Seal lines one after the other."""
    link, texts = START, []
    for it in fields:
        text, link = seal.sealed(it, link)
        texts.append(text.encode())
    return texts


def verdict(texts: list[bytes], seal: Seal = KEYLESS, expected: str = "") -> Verdict:
    """Check lines as if they stood in a file."""
    return check([Line(PATH, at, it, parsed(it)) for at, it in enumerate(texts, 1)], seal, expected)


def found(texts: list[bytes], seal: Seal = KEYLESS) -> list[tuple[int, str]]:
    """Return what is wrong, by line and word."""
    return [(it.number, it.what) for it in verdict(texts, seal).flaws]


@SOME
@given(LINES)
def test_an_untouched_chain_is_whole(fields: list[dict[str, Any]]) -> None:
    """Whatever the lines say, in whatever script; and the last hash is told."""
    texts = chain(fields)
    whole = verdict(texts)
    assert whole.flaws == ()
    assert (whole.lines, whole.first, whole.last.seq) == (len(fields), START, len(fields))
    assert whole.last == link_of(json.loads(texts[-1]))


@SOME
@given(LINES, st.data())
def test_a_line_that_was_changed_is_named(fields: list[dict[str, Any]], data: st.DataObject) -> None:
    """Its content alone: that very line, and no other."""
    texts = chain(fields)
    at = data.draw(st.integers(0, len(texts) - 1))
    texts[at] = texts[at].replace(b'{"', b'{"credential2":"x","', 1)
    assert found(texts) == [(at + 1, CHANGED)]


@SOME
@given(LINES, st.data())
def test_every_single_byte_counts(fields: list[dict[str, Any]], data: st.DataObject) -> None:
    """No byte of a line may be another one, not even where JSON means the same."""
    texts = chain(fields)
    at = data.draw(st.integers(0, len(texts) - 1))
    place = data.draw(st.integers(0, len(texts[at]) - 1))
    texts[at] = texts[at][:place] + bytes([texts[at][place] ^ 1]) + texts[at][place + 1 :]
    assert at + 1 in {number for number, _ in found(texts)}


@SOME
@given(LINES, st.data())
def test_a_line_that_was_removed_shows(fields: list[dict[str, Any]], data: st.DataObject) -> None:
    """At the line that follows it, whose number is told too."""
    texts = chain(fields)
    at = data.draw(st.integers(1, len(texts) - 2))
    del texts[at]
    assert found(texts) == [(at + 1, MISSING)]
    assert f"line {at + 1} of the chain is gone" in verdict(texts).flaws[0].message


@SOME
@given(LINES, st.data())
def test_lines_that_changed_places_show(fields: list[dict[str, Any]], data: st.DataObject) -> None:
    """None is missing and none was changed: some stand after later ones."""
    texts = chain(fields)
    at = data.draw(st.integers(0, len(texts) - 2))
    other = data.draw(st.integers(at + 1, len(texts) - 1))
    texts[at], texts[other] = texts[other], texts[at]
    flaws = found(texts)
    assert {what for _, what in flaws} == {MOVED}
    assert (other + 1, MOVED) in flaws
    assert all(at + 1 < number <= other + 1 for number, _ in flaws)


@SOME
@given(LINES, st.data())
def test_a_line_that_stands_there_twice_shows(fields: list[dict[str, Any]], data: st.DataObject) -> None:
    """A repeated line is no event of its own."""
    texts = chain(fields)
    at = data.draw(st.integers(0, len(texts) - 1))
    texts.insert(at + 1, texts[at])
    assert found(texts) == [(at + 2, REPEATED)]


@SOME
@given(LINES, st.data())
def test_a_line_that_was_sealed_anew_does_not_fit_the_next(fields: list[dict[str, Any]], data: st.DataObject) -> None:
    """Without a key anybody can compute a hash; the line after it then says another one."""
    texts = chain(fields)
    at = data.draw(st.integers(0, len(texts) - 2))
    whole = json.loads(texts[at])
    link = Link(whole["seq"] - 1, whole["prev"])
    forged = {key: value for key, value in whole.items() if key not in {"seq", "prev", "hash"}} | {"message": "forged!"}
    texts[at] = KEYLESS.sealed(forged, link)[0].encode()
    assert found(texts) == [(at + 2, RESEALED)]


@SOME
@given(LINES, st.data())
def test_with_a_key_the_rest_cannot_be_made_anew(fields: list[dict[str, Any]], data: st.DataObject) -> None:
    """Whoever writes the file and has no key can forge no line, not even the last."""
    texts = chain(fields, KEYED)
    at = data.draw(st.integers(0, len(texts) - 1))
    link = link_of(json.loads(texts[at - 1])) or START if at else START
    for place in range(at, len(texts)):
        text, link = KEYLESS.sealed({"credential": "forged"}, link)
        texts[place] = text.encode()
    assert found(texts, KEYED) == [(number, CHANGED) for number in range(at + 1, len(texts) + 1)]


def test_another_key_is_another_chain() -> None:
    """The key counts, and so does that there is one."""
    texts = chain([{"credential": "ci"}] * 3, KEYED)
    assert found(texts, KEYED) == []
    assert len(found(texts)) == len(found(texts, Seal(lambda: Secret("another key")))) == 3


def test_without_its_last_lines_a_chain_is_whole_unless_their_hash_is_known() -> None:
    """What no chain tells is asked of whoever kept a hash."""
    texts = chain([{"credential": "ci"}] * 4)
    kept = verdict(texts).last.hash
    assert found(texts[:2]) == []
    assert [it.what for it in verdict(texts[:2], expected=kept).flaws] == [UNKNOWN_HASH]
    assert verdict([*texts, *[]], expected=kept).flaws == ()
    assert verdict(texts, expected=verdict(texts[:2]).last.hash).flaws == ()


def test_a_chain_whose_beginning_is_elsewhere_says_what_it_follows() -> None:
    """Logrotate takes old lines away; what the first one that is there follows can be looked up."""
    texts = chain([{"credential": "ci"}] * 4)
    rest = verdict(texts[2:])
    assert rest.flaws == ()
    assert rest.first == link_of(json.loads(texts[1]))


def test_a_first_line_that_says_it_follows_another_is_no_first_line() -> None:
    """Somebody took away what came before, and numbered the rest anew."""
    text = KEYLESS.sealed({"credential": "ci"}, Link(0, "sha256:of something"))[0]
    assert found([text.encode()]) == [(1, RESEALED)]


def test_a_key_that_stands_twice_in_a_line_shows() -> None:
    """A reader might take the first, the hash is made of the last."""
    texts = chain([{"outcome": "failed"}] * 3)
    texts[1] = texts[1].replace(b'{"', b'{"outcome":"done","', 1)
    assert found(texts) == [(2, CHANGED)]


def test_a_line_without_a_place_in_the_chain_is_foreign() -> None:
    """Also JSON that is well formed, between lines of the chain."""
    texts = chain([{"credential": "ci"}] * 3)
    assert found([texts[0], b'{"credential":"x"}', *texts[1:]]) == [(2, UNCHAINED)]


def test_what_was_written_before_there_was_a_chain_is_counted() -> None:
    """A chain may be switched on later; it says nothing of what came before."""
    texts = [b'{"credential":"ci"}', b'{"credential":"ci"}', *chain([{"credential": "ci"}] * 2)]
    assert (verdict(texts).flaws, verdict(texts).unchained) == ((), 2)


def test_a_hash_taken_away_from_the_first_lines_shows() -> None:
    """Nobody makes lines of a chain look like those from before."""
    texts = chain([{"credential": "ci"}] * 3)
    bare = {key: value for key, value in json.loads(texts[0]).items() if key not in {"hash", "seq", "prev"}}
    texts[0] = json.dumps(bare, separators=(",", ":")).encode()
    assert found(texts) == [(2, MISSING)]


def test_the_hash_is_what_the_documentation_says() -> None:
    """SHA-256 over the line without its hash, the keys sorted: anybody can compute it with jq and sha256sum."""
    text = chain([{"kind": "step", "credential": "ci"}])[0]
    assert text.startswith(b'{"kind":"step","credential":"ci","seq":1,"prev":"","hash":"sha256:')
    bare = b'{"credential":"ci","kind":"step","prev":"","seq":1}'
    assert json.loads(text)["hash"] == f"sha256:{hashlib.sha256(bare).hexdigest()}"

"""The name and the comment of a token, which are all that a rotation is remembered by."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rotator.marker import Marker, Name, foreign_text
from rotator.model import TOKEN_NAME

ISSUED = datetime(2026, 3, 1, 12, 0, 5, tzinfo=UTC)
words = st.from_regex(r"[a-z0-9][a-z0-9-]{0,31}", fullmatch=True)
markers = st.builds(
    Marker,
    owner=words,
    credential=words,
    rotation=words,
    issued=st.integers(1577836800, 4102444800).map(lambda it: datetime.fromtimestamp(it, UTC)),
    after=st.just("") | st.from_regex(TOKEN_NAME, fullmatch=True).filter(lambda it: not it.isspace()),
    published=st.booleans(),
)


def test_a_name_is_read_back_from_its_right_end() -> None:
    """A base may itself look like a serial, so the two last parts count."""
    assert Name.parse("ci-2-8-k3f9q") == Name("ci-2", 8, "k3f9q")
    assert str(Name("ci", 8, "k3f9q")) == "ci-8-k3f9q"


@pytest.mark.parametrize(
    "text", ["ci", "ci-8", "ci-8-k3f9", "ci-8-k3f9qq", "ci-08-k3f9q", "ci-0-k3f9q", "ci-8-K3F9Q", "-8-k3f9q"]
)
def test_a_name_of_another_form_is_not_ours(text: str) -> None:
    """Whatever is not base, serial without zeros and five characters was made by somebody else."""
    assert Name.parse(text) is None


def test_a_serial_that_no_rotation_reaches_is_none() -> None:
    """Somebody may give a token any name; what is longer than a number of ours is not taken for one."""
    assert Name.parse(f"ci-{'9' * 18}-aaaaa") == Name("ci", 10**18 - 1, "aaaaa")
    assert Name.parse(f"ci-{'9' * 19}-aaaaa") is None
    assert Name.parse(f"ci-{'9' * 5000}-aaaaa") is None


def test_a_marker_of_the_end_of_all_days_is_damaged() -> None:
    """What comes an interval after it could not be said."""
    text = "rotate: owner=a credential=b rotation=c issued="

    assert Marker.parse(f"{text}8999-12-31T23:59:59Z")
    assert Marker.parse(f"{text}9000-01-01T00:00:00Z")
    assert Marker.parse(f"{text}9000-01-01T00:00:01Z") is None


@given(markers)
def test_a_marker_is_read_back_as_it_was_written(marker: Marker) -> None:
    """All that a rotation must remember survives the comment."""
    assert Marker.parse(marker.comment()) == marker


@given(markers, st.text(st.characters(exclude_categories=["Cs"])).map(lambda it: it.rstrip(" ")))
def test_a_marker_leaves_the_text_before_it_alone(marker: Marker, text: str) -> None:
    """What a person wrote into a pinned token's comment stays, however often it is marked."""
    comment = marker.comment(text)

    assert Marker.parse(comment) == marker
    assert foreign_text(comment) == text or Marker.parse(text) is not None


def test_published_is_all_that_marking_changes() -> None:
    """Marking keeps owner, credential, rotation, time and predecessor."""
    marker = Marker("home", "ci", "4f2a", ISSUED, "ci-7-aaaaa")

    assert marker.as_published().comment() == marker.comment() + " published"


def test_taken_back_is_said_until_it_is_published() -> None:
    """One word at the end: what is marked as published in the end is no longer being taken back."""
    marker = Marker("home", "ci", "4f2a", ISSUED, "ci-7-aaaaa")
    going = marker.as_taken_back()

    assert going.comment() == marker.comment() + " taken-back"
    assert Marker.parse(going.comment()) == going != marker
    assert going.as_published() == marker.as_published()
    assert Marker.parse(marker.comment() + " taken-back published") is None


@pytest.mark.parametrize(
    "comment",
    [
        "",
        "made by hand",
        "rotate: owner=home credential=ci rotation=4f2a issued=2026-02-31T00:00:00Z",
        "rotate: owner=home credential=ci rotation=4f2a issued=2026-03-01T12:00:05Z and more",
        "migrate: owner=home credential=ci rotation=4f2a issued=yesterday",
        "xrotate: owner=home credential=ci rotation=4f2a issued=2026-03-01T12:00:05Z",
    ],
)
def test_a_damaged_or_foreign_comment_is_no_marker(comment: str) -> None:
    """A token is only ours when its comment says so without any doubt."""
    assert Marker.parse(comment) is None


@given(st.text())
def test_any_comment_is_read_without_an_error(comment: str) -> None:
    """People write what they like into comments."""
    assert Marker.parse(comment) is None or "rotate: owner=" in comment

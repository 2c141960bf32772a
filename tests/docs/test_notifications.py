"""What the page on notifications shows of a notice is one, and what it does to verify one works."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from rotator.model import Secret
from rotator.notify.notice import About, notice
from rotator.notify.vigil import MOST
from rotator.notify.webhook import key_of, signed
from rotator.settings_telling import Occasion
from tests.docs.pages import blocks, read
from tests.notify.receiver import secret_of
from tests.notify.schema import ADAPTER

PAGE = "guides/notifications.md"
NOW = datetime(2026, 5, 9, 7, 30, tzinfo=UTC)


def test_the_notice_that_is_shown_is_one() -> None:
    """All its keys, and no others."""
    (shown,) = (block.text for block in blocks(PAGE) if block.language == "json")
    made = ADAPTER.validate_json(shown)
    assert made.data.occasion in set(Occasion)


def test_the_function_that_is_shown_verifies_what_is_sent(canaries: tuple[str, ...]) -> None:
    """What is ours and fresh, and nothing else."""
    (shown,) = (block.text for block in blocks(PAGE) if block.language == "python")
    names: dict[str, Any] = {}
    exec(shown, names)  # noqa: S102 - what the page shows
    made = notice(About(owner="lab", host="h", occasion="failed", cluster="one"), NOW)
    secret, other = (secret_of(it) for it in canaries[:2])
    headers = signed(made, key_of(Secret(secret)), NOW)
    stamp = NOW.timestamp()
    assert names["verified"](headers, made.body, secret, lambda: stamp + 299)
    assert not names["verified"](headers, made.body, secret, lambda: stamp + 301)
    assert not names["verified"](headers, made.body + b" ", secret, lambda: stamp)
    assert not names["verified"](headers, made.body, other, lambda: stamp)


def test_every_occasion_is_explained() -> None:
    """And how many notices there may be in an hour."""
    text = read(PAGE)
    assert [it for it in Occasion if f"| `{it}` |" not in text] == []
    assert MOST == 4
    assert "after four notices in\nan hour" in text

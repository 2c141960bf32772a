"""The demo's story, chapter by chapter: it plays on a ``Scene`` and does what the commands do, with the real parts."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from rotator import fleet
from rotator.cli.demo_claims import Count, Facts
from rotator.cli.demo_page import Page
from rotator.cli.progress import progress
from rotator.clock import Clock
from rotator.config import Settings, load
from rotator.durations import spell_duration
from rotator.model import TOKEN_ID_KEY, TOKEN_SECRET_KEY, Request, Secret, Token, TokenId
from rotator.printing import brief
from rotator.registry import find
from rotator.rotate import Result
from rotator.wiring import open_fleet

OURS = {TOKEN_ID_KEY, TOKEN_SECRET_KEY}
LONG = timedelta(minutes=1)
"""What is to do later than this is not waited for."""
MOST_LOOKS = 10
MOMENT = timedelta(seconds=1)
PATIENCE = timedelta(seconds=10)


class Reader(Protocol):
    """A consumer at work."""

    logins: int
    failed: int
    last_failure: str

    def stop(self) -> None:
        """End it."""
        ...


@dataclass(frozen=True)
class Scene:
    """What the story plays on."""

    config: Path
    record: Path
    overlap: timedelta
    nodes: Sequence[str]
    busy: Reader
    """Reads the record before each login."""
    stale: Reader
    """Reads the record again only after each overlap."""
    tokens: Callable[[], Sequence[str]]
    """Lists the ids of the tokens that the user has at PVE."""
    log_in: Callable[[Token, str], str]
    """Tries a token at a node; returns PVE's refusal, or nothing."""


@dataclass
class Story:
    """Tells it, and remembers which tokens it has seen."""

    scene: Scene
    page: Page
    clock: Clock
    seen: list[Token] = field(default_factory=list)

    def tell(self) -> Facts:
        """Play all chapters; takes some five seconds more than the overlap."""
        before = others(self.scene.record)
        self.seen.append(stored(self.scene.record))
        self.begin()
        settings = load(self.scene.config, find_backend=find, environ=os.environ)
        end = ""
        if self.take_over(settings) and self.rotate_again(settings):
            end = self.let_the_overlap_pass()
            self.clear_away(settings)
        return self.look_back(before, end)

    def begin(self) -> None:
        """Say what is there, and let the consumers work for a moment."""
        scene = self.scene
        self.page.chapter("What is there")
        self.page.rows(
            [
                ("PVE", f"{len(scene.nodes)} nodes, simulated on this machine: {', '.join(scene.nodes)}"),
                ("token", f"{self.seen[0].id}, made by hand, valid for ever"),
                ("file", f"{scene.record}, which holds it for its consumers"),
                ("consumers", "a busy one that reads the file before each login, and a stale one"),
                ("", f"that reads it again only every {spell_duration(scene.overlap)}; both log in all the time"),
            ]
        )
        self.page.say("And all that rotate needs to know:")
        self.page.quote(scene.config.read_text(encoding="utf-8"))
        self.breathe()

    def take_over(self, settings: Settings) -> bool:
        """Replace the hand-made token; say whether it went well."""
        name = settings.credentials[0].name
        self.page.chapter("Take over the token that was made by hand", command=f"rotate adopt {name}")
        self.page.say("A new token is issued and proved to work, and only then published. The old one stays valid.")
        return self.replace(settings, Request(adopt=True))

    def rotate_again(self, settings: Settings) -> bool:
        """Replace the token that was just issued; say whether it went well."""
        name = settings.credentials[0].name
        self.page.chapter("Rotate again, due or not", command=f"rotate now {name}")
        self.page.say("Every new token has a name that was never used before, so nothing can be mixed up.")
        self.breathe()
        return self.replace(settings, Request(forced=True))

    def run(self, settings: Settings, request: Request) -> Result:
        """Rotate as the commands do, showing every step."""
        with (
            progress(self.page.stream, is_terminal=self.page.is_terminal) as listen,
            open_fleet(settings, listen, clock=self.clock) as opened,
        ):
            [result] = fleet.rotate(opened, settings.credentials, request)
        if result.exit_code:
            self.page.say(f"This failed, see above. What is live now: {result.live or 'what was before'}.")
        return result

    def replace(self, settings: Settings, request: Request) -> bool:
        """Rotate, and say how it stands then; say whether it went well."""
        began = self.clock.monotonic()
        result = self.run(settings, request)
        took = timedelta(seconds=self.clock.monotonic() - began)
        self.seen.append(stored(self.scene.record))
        replaced, current = self.seen[-2:]
        if not result.exit_code:
            self.page.say(
                f"After {brief(took)} {current.id} has replaced {replaced.id}, which lives for "
                f"{spell_duration(self.scene.overlap)} more, for those who still use it. {self.counted()}."
            )
        return not result.exit_code

    def counted(self) -> str:
        """Say how the consumers are doing."""
        readers = self.scene.busy, self.scene.stale
        logins, failed = sum(it.logins for it in readers), sum(it.failed for it in readers)
        return f"So far the consumers have logged in {logins} times, and failed {failed} times"

    def breathe(self) -> None:
        """Let the consumers work for a moment."""
        self.wait_until(self.clock.now() + MOMENT)

    def wait_until(self, when: datetime) -> None:
        """Wait."""
        self.page.wait(self.clock, lambda: self.clock.now() >= when, self.counted)

    def let_the_overlap_pass(self) -> str:
        """Wait until PVE refuses the hand-made token, with nobody doing anything; return how it refuses."""
        old, node, latest = self.seen[0], self.scene.nodes[0], self.clock.now() + self.scene.overlap + PATIENCE
        end = ""

        def is_over() -> bool:
            nonlocal end
            end = self.scene.log_in(old, node)
            return bool(end) or self.clock.now() > latest

        self.page.chapter("Let the overlap pass")
        self.page.say("Rotate does nothing now. It has told PVE when the old tokens end, so PVE will see to it.")
        self.page.wait(self.clock, is_over, self.counted)
        came = f"is refused ({end}), although nobody has deleted it" if end else "still logs in, which is wrong"
        self.page.say(f"At {self.clock.now():%H:%M:%S} {old.id} {came}.")
        return end

    def clear_away(self, settings: Settings) -> None:
        """Revoke the old tokens."""
        self.page.chapter("Tidy up", command="rotate due")
        self.page.say("What has ended is deleted, a little later.")
        for _ in range(MOST_LOOKS):
            result = self.run(settings, Request())
            now = self.clock.now()
            if result.exit_code or result.until is None or result.until > now + LONG:
                break
            self.wait_until(max(result.until, now + MOMENT))  # PVE's clock is known to the second only

    def look_back(self, before: Mapping[str, object], ended_by_pve: str) -> Facts:
        """Collect what the claims are judged by."""
        *old, new = self.seen
        record, after = self.scene.record, others(self.scene.record)
        return Facts(
            busy=count(self.scene.busy),
            stale=count(self.scene.stale),
            published=tuple(str(token.id) for token in self.seen),
            ended_by_pve=ended_by_pve,
            old_logins={str(token.id): self.scene.log_in(token, self.scene.nodes[0]) for token in old},
            new_logins={node: self.scene.log_in(new, node) for node in self.scene.nodes},
            left=tuple(self.scene.tokens()),
            kept=tuple(key for key, value in before.items() if after.get(key) == value),
            foreign=tuple(before),
            mode=stat.S_IMODE(record.stat().st_mode),
        )


def count(reader: Reader) -> Count:
    """Stop a consumer and count."""
    reader.stop()
    return Count(reader.logins, reader.failed, reader.last_failure)


def stored(record: Path) -> Token:
    """Read the token as its consumers do."""
    fields = json.loads(record.read_bytes())
    return Token(TokenId.parse(fields[TOKEN_ID_KEY]), Secret(fields[TOKEN_SECRET_KEY]))


def others(record: Path) -> dict[str, object]:
    """Read the keys that are not ours."""
    fields: dict[str, object] = json.loads(record.read_bytes())
    return {key: value for key, value in fields.items() if key not in OURS}

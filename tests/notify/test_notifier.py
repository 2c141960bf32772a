"""From news to channels: who is told what, while the configuration changes, and what is remembered for the next run."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from rotator.audit.chain import Seal
from rotator.audit.reading import lines
from rotator.audit.recorder import Recorder
from rotator.audit.trail import Trail
from rotator.cli.notifying import telling
from rotator.errors import RefusedError, UnavailableError
from rotator.model import Secret
from rotator.notify.memory import told_before
from rotator.notify.notice import About, Notice
from rotator.notify.notifier import Notifier, call, remembered, wants, ways
from rotator.notify.outbox import Send
from rotator.notify.vigil import Told
from rotator.programs import Ended
from rotator.service.board import Board
from rotator.service.reload import Source
from rotator.service.standing import ConfigurationStanding, CredentialStanding, Standing, State
from rotator.settings import Settings
from rotator.settings_telling import (
    AuditSettings,
    ChannelSettings,
    CommandSettings,
    NotifySettings,
    Occasion,
    TellingSettings,
)
from tests.cli.lab import START, Time

if TYPE_CHECKING:
    from rotator.service.service import Service

PATIENCE = 20
COMMAND = CommandSettings(("/bin/true",), timedelta(seconds=1))
OPS, PAGER = ChannelSettings("ops", COMMAND), ChannelSettings("pager", COMMAND, frozenset({Occasion.LOCKED_OUT}))


def settings_of(
    folder: Path, *channels: ChannelSettings, audit: Path | None = None, **only: tuple[str, ...]
) -> Settings:
    """Make settings with these channels."""
    notify = NotifySettings(channels, only=only)
    telling = TellingSettings(notify, audit=AuditSettings(audit) if audit else None)
    return Settings(folder / "rotate.yaml", "lab", {}, {}, (), telling=telling)


def news(occasion: Occasion, credential: str = "ci", **more: str) -> About:
    """Make news."""
    return About(owner="lab", host="h", occasion=occasion, cluster="one", credential=credential, **more)  # type: ignore[arg-type]


class Desk:
    """Channels that note what they are given."""

    def __init__(self) -> None:
        self.given: list[tuple[str, str]] = []
        self.opened: list[str] = []

    def __call__(self, channel: ChannelSettings) -> Send:
        """Open a channel."""
        self.opened.append(channel.name)

        def send(notice: Notice) -> None:
            self.given.append((channel.name, f"{notice.data.occasion} {notice.data.credential}".strip()))

        return send


def test_everybody_is_told_what_he_wants_to_hear(tmp_path: Path) -> None:
    """A channel chooses occasions, a credential channels; what is about a cluster is everybody's."""
    desk = Desk()
    notifier = Notifier(settings_of(tmp_path, OPS, PAGER, cd=("pager",), ce=()), Time(), desk)
    told = [news(it, name) for it in (Occasion.FAILED, Occasion.LOCKED_OUT) for name in ("ci", "cd", "ce", "")]
    notifier.tell(told)
    notifier.close(PATIENCE)
    assert sorted(desk.given) == [
        ("ops", "failed"),
        ("ops", "failed ci"),
        ("ops", "locked-out"),
        ("ops", "locked-out ci"),
        ("pager", "locked-out"),
        ("pager", "locked-out cd"),
        ("pager", "locked-out ci"),
    ]
    assert not wants(OPS, news(Occasion.FAILED, "ce"), settings_of(tmp_path, OPS, ce=()).telling.notify)


def test_another_configuration_is_taken_up(tmp_path: Path) -> None:
    """A channel that stays goes on; one that is gone sends what it has; one that is new, or another, is opened."""
    desk = Desk()
    notifier = Notifier(settings_of(tmp_path, OPS, PAGER), Time(), desk)
    notifier.tell([news(Occasion.LOCKED_OUT)])
    (gone,) = (it for it in threading.enumerate() if it.name == "notify pager")
    other = replace(PAGER, occasions=frozenset({Occasion.FAILED}))
    notifier.renew(settings_of(tmp_path, OPS, other))
    notifier.tell([news(Occasion.FAILED)])
    gone.join(PATIENCE)
    assert not gone.is_alive()
    notifier.drain(PATIENCE)
    notifier.close(PATIENCE)
    assert desk.opened == ["ops", "pager", "pager"]
    assert set(desk.given) >= {("ops", "locked-out ci"), ("ops", "failed ci"), ("pager", "failed ci")}


@pytest.mark.parametrize(("seconds", "sent", "counted"), [(0.0, 0, [2]), (PATIENCE, 2, [])])
def test_who_is_configured_no_more_is_waited_for_at_the_end(
    tmp_path: Path, seconds: float, sent: int, counted: list[int]
) -> None:
    """A configuration comes and the service is restarted, as one deployment does both; its receiver is slow."""
    lost, given = list[int](), list[str]()
    answers, sending = threading.Event(), threading.Event()

    def slow(channel: ChannelSettings) -> Send:
        def send(_notice: Notice) -> None:
            sending.set()
            assert answers.wait(PATIENCE)
            given.append(channel.name)

        return send

    notifier = Notifier(settings_of(tmp_path, OPS), Time(), slow, lose=lost.append)
    notifier.tell([news(Occasion.FAILED), news(Occasion.FAILED)])
    assert sending.wait(PATIENCE)
    notifier.renew(settings_of(tmp_path))
    notifier.renew(settings_of(tmp_path, PAGER))
    if seconds:
        answers.set()
    notifier.close(seconds)
    assert (len(given), lost) == (sent, counted)
    answers.set()


def test_another_audit_trail_is_taken_up(tmp_path: Path) -> None:
    """With the configuration that names it: what is told later is not in a file that is configured no more."""
    trails, bugs = [tmp_path / "old.jsonl", tmp_path / "new.jsonl"], list[Exception]()
    loaded = (settings_of(tmp_path, audit=path) for path in (*trails, None))
    source = Source(tmp_path / "rotate.yaml", lambda: next(loaded))
    before = CredentialStanding("ci", "one", timedelta(1), timedelta())
    board = Board(Standing(START, ConfigurationStanding("x", "", START), {"ci": before}), bugs.append)
    service = cast("Service", SimpleNamespace(board=board))
    states = (State.FAILING, State.NEEDS_ATTENTION, State.LOCKED_OUT)
    with telling(service, source, Time(), lambda _: None):
        for number, state in enumerate(states):
            board.put([replace(before, state=state)])
            if number < len(trails):
                source.renewed()
                board.set(configuration=ConfigurationStanding("x", str(number), START))
    for thread in threading.enumerate():
        if thread.name == "notify the audit trail":
            thread.join(PATIENCE)
    told = [[(it.fields or {})["reason"] for it in lines([path])] for path in trails]
    assert (told, bugs) == ([["failed"], ["needs-attention"]], [])
    assert not any(it.readlink() in trails for it in Path("/proc/self/fd").iterdir() if it.is_symlink())


def test_what_is_told_is_remembered_by_the_trail(tmp_path: Path) -> None:
    """Troubles and ends, across a file that logrotate has put aside; what recovered is no trouble any more."""
    path = tmp_path / "audit.jsonl"
    time = Time()
    settings = settings_of(tmp_path, OPS, audit=path)

    def tell(*told: About) -> None:
        notifier = Notifier(settings, time, Desk(), Recorder(Trail(path, Seal(), clock=time), time))
        notifier.tell(told)
        notifier.close(PATIENCE)

    tell(news(Occasion.FAILED), news(Occasion.FAILED, "cd"), news(Occasion.EXPIRING, token="ci@pve!a"))
    path.rename(tmp_path / "audit.jsonl.1")
    tell(news(Occasion.RECOVERED, "cd"), news(Occasion.NEEDS_ATTENTION), news(Occasion.ORPHAN))
    found = told_before(path)
    assert found[("one", "ci")] == Told(Occasion.NEEDS_ATTENTION, (START,), "ci@pve!a")
    assert found[("one", "cd")].trouble is None
    assert Notifier(settings, time, Desk()).vigil.of_cluster is not None
    path.write_bytes(b'{"kind":"notice"}\n{"kind":"notice","at":"then","reason":"x"}\nnonsense "kind":"notice"\n')
    (tmp_path / "audit.jsonl.1").unlink()
    assert told_before(path) == {}
    assert told_before(tmp_path / "nowhere") == {}
    (tmp_path / "audit.jsonl.1.gz").write_bytes(gzip.compress(b"{}\n")[:10] + b"\xff" * 20)
    assert told_before(path) == {}


def test_a_program_that_fails_is_not_run_again() -> None:
    """It may have done half of what it does; that it failed is said."""
    ran: list[bytes] = []

    def run(_command: CommandSettings, variables: object, stdin: bytes) -> Ended:
        assert variables
        ran.append(stdin)
        return Ended(3, "no")

    send = ways(lambda _: Secret("unused"), Time().now, run)(OPS)
    made = Notice(id="msg_1", type="rotate.failed", timestamp=START, data=news(Occasion.FAILED))
    with pytest.raises(RefusedError, match="/bin/true: ended with 3; it said: no"):
        send(made)
    assert ran == [made.body + b"\n"]
    call(COMMAND, made, lambda *_: Ended(0))


def test_a_secret_whose_store_is_away_is_the_one_that_was_read_last() -> None:
    """That the store is away may be the very news; another one is taken up once it can be read."""
    answers: list[str] = ["one", "", "two"]

    def ask() -> Secret:
        answer = answers.pop(0)
        if not answer:
            raise UnavailableError("away")
        return Secret(answer)

    asked: Callable[[], Secret] = remembered(ask)
    assert [asked().reveal() for _ in range(3)] == ["one", "one", "two"]
    answers.append("")
    with pytest.raises(UnavailableError):
        remembered(ask)()


def test_what_is_lost_is_counted(tmp_path: Path) -> None:
    """For the metric; the log says more."""
    lost: list[int] = []

    def refuse(_channel: ChannelSettings) -> Send:
        def send(_notice: Notice) -> None:
            raise RefusedError("no")

        return send

    notifier = Notifier(settings_of(tmp_path, OPS), Time(), refuse, lose=lost.append)
    notifier.tell([news(Occasion.FAILED), news(Occasion.FAILED)])
    notifier.close(PATIENCE)
    assert lost == [1, 1]

"""Whom a configuration notifies, which commands it runs, where its audit trail is: what it takes, what it refuses."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from rotator.references import FileReference
from rotator.settings_telling import (
    AuditSettings,
    ChannelSettings,
    CommandSettings,
    HookSettings,
    NotifySettings,
    Occasion,
    TellingSettings,
    WebhookSettings,
)
from tests.unit.config_world import config, problems, read

SECOND = timedelta(seconds=1)


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """Return a file with a secret."""
    path = tmp_path / "secret"
    path.write_text("whsec_")
    path.chmod(0o600)
    return path


def wrong(folder: Path, text: str) -> list[str]:
    """Return what is wrong, each with its line and key."""
    return [f"{it.line} {it}; {it.advice}" for it in problems(folder, text)]


def test_nobody_is_told_unless_it_is_written(tmp_path: Path) -> None:
    """No channel, no hook, no trail."""
    assert read(tmp_path, config()).telling == TellingSettings()


def test_what_is_written_is_taken(tmp_path: Path, secret: Path) -> None:
    """Each key of the sections, with a value that is not the default."""
    (tmp_path / "ca").write_text("-----BEGIN CERTIFICATE-----\n")
    web = f"{{url: 'https://a/b?c', secret: {{file: {secret}}}, ca: {tmp_path}/ca, timeout: 3s, on: [failed, orphan]}}"
    notify = f"{{expires_within: 2d, channels: {{web: {web}, pager: {{run: [/bin/page, x y]}}}}}}"
    audit = f"{{file: /a/b, chain: true, secret: {{file: {secret}}}, sync: false, required: true}}"
    hooks = "{after_publish: [{run: [/bin/a, -b], timeout: 5s}], after_revoke: [{run: [/bin/c]}]}"
    text = config({"notify": notify, "audit": audit}, {}, {"hooks": hooks, "notify": "[pager]"})
    assert read(tmp_path, text).telling == TellingSettings(
        NotifySettings(
            (
                ChannelSettings(
                    "web",
                    WebhookSettings("https://a/b?c", FileReference(secret), tmp_path / "ca", 3 * SECOND),
                    frozenset({Occasion.FAILED, Occasion.ORPHAN}),
                ),
                ChannelSettings("pager", CommandSettings(("/bin/page", "x y"), 30 * SECOND)),
            ),
            timedelta(days=2),
            {"ci": ("pager",)},
        ),
        {
            "ci": HookSettings(
                (CommandSettings(("/bin/a", "-b"), 5 * SECOND),), (CommandSettings(("/bin/c",), 30 * SECOND),)
            )
        },
        AuditSettings(Path("/a/b"), is_chained=True, secret=FileReference(secret), is_synced=False, is_required=True),
    )


def test_what_the_defaults_say_holds_for_every_credential_that_says_nothing(tmp_path: Path) -> None:
    """A credential's own hooks and channels take the place of those of the defaults, also when they are none."""
    both = "{notify: [a], hooks: {after_revoke: [{run: [/bin/a]}]}}"
    channels = "{channels: {a: {run: [/bin/a]}}}"
    found = read(tmp_path, config({"defaults": both, "notify": channels})).telling
    assert (found.notify.only, found.hooks["ci"].after_revoke[0].argv) == ({"ci": ("a",)}, ("/bin/a",))
    own = read(tmp_path, config({"defaults": both, "notify": channels}, {}, {"notify": "[]", "hooks": "{}"})).telling
    assert (own.notify.only, own.hooks["ci"]) == ({"ci": ()}, HookSettings())


def test_a_secret_does_not_stand_in_the_configuration(tmp_path: Path, canary: str) -> None:
    """It is refused where a reference belongs, and not repeated."""
    channel = f"{{url: 'https://a', secret: {canary}}}"
    text = config({"notify": f"{{channels: {{a: {channel}}}}}", "audit": f"{{file: /a, secret: {canary}}}"})
    found = wrong(tmp_path, text)
    assert [it.split(";")[0] for it in found] == [
        "3 notify.channels.a.secret: a secret does not stand in the configuration itself",
        "4 audit.secret: a secret does not stand in the configuration itself",
    ]


@pytest.mark.parametrize(
    ("channel", "problem"),
    [
        ("{run: [page]}", "run: the program has no absolute path; write where it is"),
        ("{run: []}", "run: empty"),
        ('{run: [/bin/a, "a\\0b"]}', "run: a zero byte in an argument"),
        ("{run: [/bin/a], ca: /x}", "ca: no effect without url"),
        ("{}", "neither url nor run"),
        ("{url: 'https://a'}", "url: nobody can tell who sent it: there is no secret; add secret: {file: /path}"),
        ("{url: 'http://a'}", "url: not a URL of HTTPS"),
        ("{url: 'https://'}", "url: not a URL of HTTPS"),
        ("{url: 'https://a:0'}", "url: not a URL of HTTPS"),
        ("{url: 'https://a:x'}", "url: not a URL of HTTPS"),
        ("{url: 'https://a b'}", "url: not a URL of HTTPS"),
        ("{url: 'https://user:pass@a'}", "url: more than a URL takes"),
        ("{url: 'https://a/#b'}", "url: more than a URL takes"),
        ("{url: 'https://a', secret: {file: /x}, run: [/b]}", "run: both url and run"),
        ("{url: 'https://a', secret: {file: /x}, ca: /nowhere}", "ca: cannot be read"),
        ("{url: 'https://a', secret: {fle: /x}}", "secret: not a reference to a secret; write {env: NAME}"),
        ("{run: [/bin/a], on: [fail]}", "on[0]: not one of the words that it can be"),
        ("{run: [/bin/a], on: []}", "on: empty"),
        ("{ulr: 'https://a'}", "unknown key 'ulr'; did you mean 'url'?"),
    ],
)
def test_a_channel_that_cannot_be_is_refused(tmp_path: Path, channel: str, problem: str) -> None:
    """With its line, and what to write instead."""
    found = wrong(tmp_path, config({"notify": f"{{channels: {{a: {channel}}}}}"}))
    assert any(it.startswith("3 notify.channels.a") and problem in it for it in found), found


@pytest.mark.parametrize("where", ["defaults", "credential"])
def test_a_channel_that_is_not_there_is_named(tmp_path: Path, where: str) -> None:
    """A misspelt name would tell nobody, and nobody would know."""
    channels = {"notify": "{channels: {ops: {run: [/bin/a]}}}"}
    text = (
        config({"defaults": "{notify: [opps]}", **channels})
        if where == "defaults"
        else config(channels, {}, {"notify": "[opps]"})
    )
    found = wrong(tmp_path, text)
    assert len(found) == 1
    assert "notify[0]: no channel is called 'opps'; did you mean 'ops'?" in found[0]


@pytest.mark.parametrize(
    ("audit", "problem"),
    [
        ("{}", "file: missing"),
        ("{file: audit.jsonl}", "file: not the absolute path of a file"),
        ("{file: /a, chain: false, secret: {env: X}}", "secret: no effect with chain: false"),
        ("{file: /a, secret: {env: NOT_SET}}", "secret: the environment variable NOT_SET is not set"),
        ("{file: /a, sync: sometimes}", "sync: neither true nor false"),
    ],
)
def test_a_trail_that_cannot_be_is_refused(tmp_path: Path, audit: str, problem: str) -> None:
    """With its line, and what to write instead."""
    found = wrong(tmp_path, config({"audit": audit}))
    assert any(it.startswith("3 audit") and problem in it for it in found), found


def test_a_hook_that_cannot_be_is_refused(tmp_path: Path) -> None:
    """A shell is asked for by name, or not at all."""
    found = wrong(tmp_path, config({}, {}, {"hooks": "{after_publish: [{run: systemctl reload x}]}"}))
    assert len(found) == 1
    assert "credentials[ci].hooks.after_publish[0].run: not a list" in found[0]

"""What the reasons of results mean: those of the policy, and those of runs that did not get so far."""

from __future__ import annotations

from rotator.advice.cause import Page

_NOTHING = "nothing"
_PERSON = "a person is needed: "


def _reason(name: str, meaning: str, do: str, *causes: str) -> Page:
    return Page(name, "reason", meaning, do, causes)


REASONS = (
    _reason("paused", "the configuration says so, and it was not asked for by name", "rotate resume CREDENTIAL"),
    _reason(
        "record-unreadable",
        "the primary cannot be read, or holds something that is no token; so nothing is decided",
        f"{_PERSON}mend the store or the record; rotate doctor CREDENTIAL",
        "store-unavailable",
        "store-unreadable",
        "record-misshapen",
    ),
    _reason(
        "other-token",
        "a destination holds another user's token than the credential's, or the record another than the pinned one",
        f"{_PERSON}correct `user:` (and `base:`), or give the credential a destination of its own",
        "realm-wrong",
    ),
    _reason(
        "not-adopted",
        "a destination holds a token that somebody else made; such a token is never touched unasked",
        f"{_PERSON}rotate adopt CREDENTIAL, or `adopt: true` in the configuration",
    ),
    _reason(
        "user-disabled",
        "the user is disabled or has expired, so PVE refuses every token of it, old and new",
        f"{_PERSON}pveum user modify USER@REALM --enable 1 --expire 0",
        "user-disabled",
        "user-expired",
    ),
    _reason(
        "published-token-dead",
        "the token that consumers read is gone, has expired, or its secret is refused",
        "a new one is issued at once; find out who ended the old one",
        "token-gone",
        "token-expired",
        "secret-wrong",
    ),
    _reason("forced", "it was asked for by name", _NOTHING),
    _reason(
        "rotation-in-flight",
        "a token above the record's is younger than `in_flight`: another run may be at it",
        "wait; or, if no other run is alive: rotate now CREDENTIAL",
    ),
    _reason(
        "too-many-orphans",
        "more than three tokens were issued and never published: something goes on failing in between",
        f"{_PERSON}find it in the log, delete these tokens, run again",
        "operator-cannot-grant",
        "store-not-writable",
    ),
    _reason(
        "record-rolled-back",
        "a token was published after the one that the record names: an older record was put back",
        "a new one is issued; nothing is deleted that somebody may hold",
    ),
    _reason("orphan", "a token was issued, never published, and nobody is at it any more", "it is deleted"),
    _reason(
        "expiring", "the token is past 2/3 of its own life, or twice the overlap before its end", "a new one is issued"
    ),
    _reason("overlap-passed", "an old token's deadline has passed: PVE refuses it already", "it is deleted"),
    _reason(
        "unfinished",
        "the record's token is not marked published, a mirror does not hold it, or a key does not show it",
        "the next run finishes it; if it stays, look at the mirror: rotate doctor CREDENTIAL",
        "mirror-behind",
        "store-not-writable",
        "store-unavailable",
    ),
    _reason("not-retired", "an old token was replaced and has no end yet", "it gets one: now and the overlap"),
    _reason("first-issue", "the primary holds no token", "the first one is issued"),
    _reason("adopt", "the record's token was made by somebody else and may be taken over", "a successor is issued"),
    _reason("due", "the token is older than `every`", "a new one is issued; a maintenance window may delay it"),
    _reason("up-to-date", "nothing is to do", _NOTHING),
    _reason(
        "cluster-unreachable",
        "no endpoint of the cluster answered; nothing was touched",
        "rotate doctor",
        "no-answer",
        "connection-refused",
        "name-unresolved",
        "certificate-changed",
        "certificate-untrusted",
        "wrong-port",
        "daemon-down",
    ),
    _reason(
        "operator-unusable",
        "the operator's own token cannot be read, or PVE refuses it; nothing was touched",
        "rotate doctor",
        "operator-refused",
        "operator-unreadable",
    ),
    _reason(
        "unaudited",
        "the audit trail cannot be written, and the configuration requires it; nothing was touched",
        "make room on the disk, or mend the file's permissions; or take `audit.required` away",
        "audit-not-writable",
    ),
    _reason("failed", "it failed before anything was decided; the message says at what", "rotate doctor CREDENTIAL"),
    _reason("interrupted", "the run was asked to end before this credential's turn", "rotate due"),
    _reason("bug", "a mistake in this program or in a backend", "run it again with --verbose, and report what it says"),
    _reason("nothing-to-adopt", "no destination holds a token that somebody else made", _NOTHING),
)

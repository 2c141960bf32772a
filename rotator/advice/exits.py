"""What the exit codes of ``rotate`` mean."""

from __future__ import annotations

from rotator.advice.cause import Page


def _exit(code: int, meaning: str, do: str) -> Page:
    return Page(str(code), "exit code", meaning, do)


EXITS = (
    _exit(0, "done, or nothing to do", "nothing"),
    _exit(1, "a bug in this program", "run it again with --verbose, and report what it says"),
    _exit(2, "wrong usage: an option, or a name that is not in the configuration", "rotate COMMAND --help"),
    _exit(3, "the configuration is wrong; nothing was contacted", "rotate config check"),
    _exit(4, "some credential failed; its consumers are unaffected", "rotate status, then rotate doctor NAME"),
    _exit(5, "a published record does not work: consumers are locked out, or will be", "rotate doctor NAME, at once"),
    _exit(6, "only a rotation that somebody else may be at stood in the way", "wait for `in_flight` (10 minutes)"),
    _exit(130, "interrupted by Ctrl-C; what is published works", "rotate due finishes what was under way"),
    _exit(141, "the reader of the output has gone away", "nothing"),
    _exit(143, "ended by SIGTERM; what is published works", "rotate due finishes what was under way"),
)

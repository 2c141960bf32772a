"""Who calls a command: the user of this machine, as the kernel knows it, and whom `sudo` says it did it for."""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping

from rotator.trigger import By, TriggeredBy


def person(uid: int, environ: Mapping[str, str]) -> str:
    """Name a user; variables such as ``USER``, which anybody may set, do not count."""
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:  # a container's, as often
        name = f"uid {uid}"
    behind = environ.get("SUDO_USER", "")
    return f"{name}, sudo by {behind}" if behind and not uid else name


def called(command: str, login: str = "") -> TriggeredBy:
    """Make the trigger of a command. ``login`` is as whom it works on the clusters, if not as their operators."""
    return TriggeredBy(By.COMMAND, f"{command} --login {login}" if login else command, person(os.getuid(), os.environ))

"""The bearer token that whoever asks must show.

Nobody is shut out because others guess, so the token has to be one that cannot be guessed: 16 characters at least. Of
random base64 that is 96 bits: at a million guesses a second, far more than are answered here, half of them are through
after 10^15 years.
"""

from __future__ import annotations

import hmac
import logging
import secrets
from collections.abc import Callable
from hashlib import sha256
from threading import Lock, Thread

from rotator.clock import Clock
from rotator.errors import ConfigError, RotatorError
from rotator.model import Secret
from rotator.service.guesses import Guesses

MEMORY = 60.0
"""Seconds for which the bearer token is not asked for again."""
SHORTEST = 16
"""Characters of a token."""
PATIENCE = 2.0
"""Seconds that somebody waits for the store where a token is known; Prometheus gives up after ten."""
ASKING = "page-token"
"""The name of the thread that asks."""

log = logging.getLogger(__name__)


class GuessableError(ConfigError):
    """The token is so short that somebody could guess it."""


class Gate:
    """Knows the bearer token that must be shown. What ``read`` gets is kept for a minute: nobody can make us ask.

    While it cannot be read, or that takes long, the one that was known holds on; where none was, or an empty one,
    nobody comes in. A thread of its own reads it: a store that hangs would keep all others waiting for the page.
    """

    def __init__(self, read: Callable[[], Secret], clock: Clock, patience: float = PATIENCE) -> None:
        self._read = read
        self._clock = clock
        self._patience = patience
        self._asking: Thread | None = None
        self._lock = Lock()
        self._known: Secret | None = None
        self._since: float | None = None
        self._is_away = False
        self._key = secrets.token_bytes(32)
        self.guesses = Guesses(clock)

    def check(self) -> None:
        """Look at the token as it is now; one that cannot be read yet may be read later. Raises: ``GuessableError``."""
        try:
            self._long()
        except GuessableError:
            raise
        except RotatorError:
            return

    def admits(self, header: str) -> bool:
        """Say whether an ``Authorization`` header shows the token; takes as long for a wrong one as for a right one."""
        scheme, _, shown = header.partition(" ")
        return scheme.lower() == "bearer" and self.knows(shown.strip().encode("latin-1", "replace"))

    def knows(self, shown: bytes) -> bool:
        """Say whether this is the token; takes as long for a wrong one as for a right one."""
        known = self._current()
        is_right = bool(shown) and known is not None and hmac.compare_digest(shown, known.reveal().encode())
        if known is not None and not is_right:
            self.guesses.add()
        return is_right

    def mark(self) -> str:
        """Return what stands for the token as it is now, and tells nothing of it; "" while there is none."""
        known = self._current()
        return hmac.new(self._key, known.reveal().encode(), sha256).hexdigest() if known else ""

    def _current(self) -> Secret | None:
        with self._lock:
            asking, now = self._asking, self._clock.monotonic()
            is_old = self._since is None or now - self._since >= MEMORY
            if asking is None or (is_old and not asking.is_alive()):
                self._since = now
                asking = self._asking = Thread(target=self._ask, name=ASKING, daemon=True)
                asking.start()
        asking.join(self._patience if self._known else None)
        return self._known

    def _ask(self) -> None:
        try:
            self._known, self._is_away = self._long(), False
        except GuessableError as error:
            log.warning("%s; nobody gets in by it", error.message)
        except RotatorError as error:
            if not self._is_away:
                holds = "the one that was known holds on" if self._known else "nobody gets in"
                log.warning("service.token cannot be read: %s; %s", error.message, holds)
            self._is_away = True

    def _long(self) -> Secret:
        token = self._read()
        if len(token.reveal()) < SHORTEST:
            message = f"service.token has less than {SHORTEST} characters, so that it could be guessed"
            raise GuessableError(message, hint="make a random one: head -c 32 /dev/urandom | base64")
        return token

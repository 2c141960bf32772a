"""How the simulated PVE says no: a status, a message, and errors by parameter, in PVE's own words."""

from __future__ import annotations

from collections.abc import Mapping


class RefusalError(Exception):
    """An answer other than 200. ``text`` is the whole message; its first line becomes the HTTP reason phrase."""

    def __init__(self, status: int, text: str, errors: Mapping[str, str] | None = None) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.errors = dict(errors or {})

    def within(self, task: str) -> RefusalError:
        """Become what PVE makes of an error met inside its lock: a 500 that names the task (measured)."""
        text = self.text
        if self.errors:
            text = f"{self.status} {text}" + "".join(f"{name}: {said}\n" for name, said in sorted(self.errors.items()))
        return RefusalError(500, f"{task}: {text}")


def died(message: str) -> RefusalError:
    """Refuse with 500, which is PVE's answer to most things that do not exist."""
    return RefusalError(500, f"{message}\n")


def forbidden(what: str = "") -> RefusalError:
    """Refuse with 403; ``what`` names the path and the privilege, where PVE tells them."""
    return RefusalError(403, f"Permission check failed ({what})\n" if what else "Permission check failed\n")


def bad_parameters(errors: Mapping[str, str]) -> RefusalError:
    """Refuse with 400 and one sentence per parameter."""
    return RefusalError(400, "Parameter verification failed.\n", errors)

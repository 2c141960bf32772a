"""Which keys a record in a file can have, by its format; every fault is told at once."""

from __future__ import annotations

from collections.abc import Collection

from rotator.errors import ConfigError
from rotator_backends.file_formats import TOKEN_ID, TOKEN_SECRET, Format, is_variable

_HINTS = {
    Format.ENV: "write letters, digits and _, no digit first; or use another format",
    Format.TOKEN: "use another format, or take preset and fields away",
    Format.TEXT: "let one field be the whole text, and call it like the file; or say key",
}


def check_keys(keys: Collection[str], kind: Format, *, key: str, name: str) -> None:
    """Look whether all keys can be in a file of this format and name; ``key`` is what a text is called.

    Raises: ``ConfigError``, a line for each fault.
    """
    faults = [f"{it}: {fault}" for it in keys if (fault := _fault(it, kind, key=key, name=name))]
    if faults:
        raise ConfigError("\n".join(faults), hint=_HINTS.get(kind, "write format: text"))


def _fault(it: str, kind: Format, *, key: str, name: str) -> str:
    match kind:
        case Format.ENV:
            return "" if is_variable(it) else "not the name of an environment variable"
        case Format.TOKEN:
            return "" if it in {TOKEN_ID, TOKEN_SECRET} else "a file of the format token holds id and secret alone"
        case Format.TEXT:
            return "" if it == key else f"a file of the format text holds {key} alone"
    return f"called like the file, so meant as all of it, not as a key in {kind}" if it == name else ""

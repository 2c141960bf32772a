"""The text of a secret: an object of JSON, of which some keys are ours. No I/O.

A value that is not ours is never decoded and encoded again, which would rewrite its numbers: its text is kept.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping

from rotator.errors import RefusedError
from rotator.model import Secret

MOST_BYTES = 65_536
"""What Secrets Manager takes (API reference, ``SecretString``)."""

_HALF = re.compile("[\ud800-\udfff]")
_BLANKS = " \t\r\n"
_DECODER = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str)


def fields_in(text: str, place: str) -> dict[str, Secret]:
    """Return the texts, numbers (as they are written) and truth values of the top level; what else is there is none.

    Raises: ``RefusedError`` when it is no object of JSON.
    """
    return {key: Secret(_plain(value)) for key, value in _object(text, place).items() if isinstance(value, str | bool)}


def changed(text: str, fields: Mapping[str, Secret], place: str) -> str:
    """Return the object with these fields, everything else as it is; an empty text is an object without any.

    Raises: ``RefusedError`` when it is no object, a field has no place in it, or it would be too large.
    """
    _object(text or "{}", place)
    members = dict(_members(text or "{}"))
    for key, value in fields.items():
        if members.get(key, "").startswith(("{", "[")):
            raise RefusedError(f"{place} is left as it is: its {key!a} is not a text", hint="give it another key")
        if _HALF.search(key + value.reveal()):
            raise RefusedError(f"the key or value of {key!a} is no text: it has half a character (a lone surrogate)")
        members[key] = _quoted(value.reveal())
    new = "{" + ", ".join(f"{_quoted(key)}: {value}" for key, value in members.items()) + "}"
    if (size := len(new.encode(errors="surrogatepass"))) > MOST_BYTES:
        raise RefusedError(f"{place} would have {size} bytes, and Secrets Manager takes {MOST_BYTES}")
    return new


def _plain(value: str | bool) -> str:  # noqa: FBT001 - a value of JSON
    return value if isinstance(value, str) else str(value).lower()


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=bool(_HALF.search(text)))


def _object(text: str, place: str) -> dict[str, object]:
    where = "it is no object of JSON"
    try:
        found = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        where = f"it is not JSON: line {error.lineno}, column {error.colno}"
    except RecursionError:
        where = "it is nested too deeply"
    else:
        if isinstance(found, dict):
            return found
    raise RefusedError(
        f"{place} is left as it is: {where}",
        hint='a record is key/value pairs, such as {"token_id": "…"}; repair it, or name another secret',
    )


def _members(text: str) -> Iterator[tuple[str, str]]:
    """Yield the keys of the top level with the text of their values, in a text that is known to be an object."""
    at = _after_blanks(text, text.index("{") + 1)
    while text[at] != "}":
        key, at = _DECODER.raw_decode(text, at)
        start = _after_blanks(text, text.index(":", at) + 1)
        _, end = _DECODER.raw_decode(text, start)
        yield key, text[start:end]
        at = _after_blanks(text, end)
        if text[at] == ",":
            at = _after_blanks(text, at + 1)


def _after_blanks(text: str, at: int) -> int:
    while text[at] in _BLANKS:
        at += 1
    return at

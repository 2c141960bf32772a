"""A Secret as kubectl's typed clients send it: protobuf, of which this one message is read. Pure.

The package ``protobuf`` was not taken: it wants classes generated from Kubernetes' own files, and what a test server
ships with the product should need nothing that the product does not. Numbers of fields after ``generated.proto`` of
``k8s.io/api/core/v1`` and ``k8s.io/apimachinery``; what is not named here is left out, as times, owners and finalizers.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator

from rotator.testing.kubernetes_status import Json, bad_request

MEDIA = "application/vnd.kubernetes.protobuf"

_MAGIC = b"k8s\x00"
_RAW = 2
_VARINT, _BYTES = 0, 2
_METADATA, _DATA, _TYPE, _TEXTS, _IMMUTABLE = range(1, 6)
_NAMES = {1: "name", 3: "namespace", 6: "resourceVersion"}
_MAPS = {11: "labels", 12: "annotations"}

Field = tuple[int, bytes | int]


def secret(body: bytes) -> Json:
    """Read a Secret. Raises: ``StatusError`` for what is none."""
    if not body.startswith(_MAGIC):
        raise bad_request("the object provided is unrecognized")
    try:
        return _secret(dict(_fields(body.removeprefix(_MAGIC))).get(_RAW, b""))
    except (IndexError, TypeError, ValueError):
        raise bad_request("the object provided is unrecognized: it is cut off, or no Secret") from None


def _secret(raw: bytes | int) -> Json:
    made: Json = {"metadata": {}}
    for number, value in _fields(_bytes(raw)):
        if number == _METADATA:
            made["metadata"] = _metadata(_bytes(value))
        elif number == _DATA:
            key, content = _entry(_bytes(value))
            made.setdefault("data", {})[key] = base64.b64encode(content).decode()
        elif number == _TEXTS:
            key, content = _entry(_bytes(value))
            made.setdefault("stringData", {})[key] = content.decode()
        elif number == _TYPE:
            made["type"] = _bytes(value).decode()
        elif number == _IMMUTABLE:
            made["immutable"] = bool(value)
    return made


def _metadata(raw: bytes) -> Json:
    made: Json = {}
    for number, value in _fields(raw):
        if number in _NAMES:
            made[_NAMES[number]] = _bytes(value).decode()
        elif number in _MAPS:
            key, content = _entry(_bytes(value))
            made.setdefault(_MAPS[number], {})[key] = content.decode()
    return {key: value for key, value in made.items() if value}


def _entry(raw: bytes) -> tuple[str, bytes]:
    """Read one entry of a map: its key is field 1, its value field 2; what is empty may be left out."""
    found = dict(_fields(raw))
    return _bytes(found.get(1, b"")).decode(), _bytes(found.get(2, b""))


def _bytes(value: bytes | int) -> bytes:
    if isinstance(value, int):
        raise TypeError
    return value


def _fields(raw: bytes) -> Iterator[Field]:
    """Take a message apart into the numbers and the values of its fields."""
    place = 0
    while place < len(raw):
        key, place = _varint(raw, place)
        number, kind = key >> 3, key & 7
        length, place = _varint(raw, place)
        if kind == _VARINT:
            yield number, length
        elif kind == _BYTES:
            if place + length > len(raw):
                raise ValueError
            yield number, raw[place : place + length]
            place += length
        else:
            raise ValueError


def _varint(raw: bytes, place: int) -> tuple[int, int]:
    """Read a number, seven bits in each byte, the lowest first; returns it, and where it ends."""
    value = shift = 0
    while True:
        byte = raw[place]
        value |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if byte < 0x80:  # noqa: PLR2004 - the highest bit says that there is more
            return value, place

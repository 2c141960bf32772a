"""PVE's parameter verification: every fault of a call at once, a sentence per parameter.

Written by hand instead of taken from a JSON-schema library, because the sentences are what clients see: they are PVE's,
measured, and no library says them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from rotator.testing.names import split_list
from rotator.testing.refusal import bad_parameters

Value = str | list[str]
"""A parameter as it came in; a list when it was given more than once (or is a JSON list)."""

Format = Callable[[str], str]
"""Says what is wrong with a text; empty when nothing is."""


@dataclass(frozen=True, slots=True)
class Param:
    """What one parameter may hold."""

    kind: Literal["string", "integer", "boolean"] = "string"
    optional: bool = False
    form: Format | None = None
    each: Format | None = None
    """The form of each element of a list."""
    pattern: re.Pattern[str] | None = None
    minimum: int | None = None
    shortest: int = 0
    longest: int | None = None
    choices: tuple[str, ...] = ()
    needs: str = ""
    """Another parameter that must be there when this one is."""


Schema = Mapping[str, Param]

_KINDS = {"integer": re.compile(r"[+-]?[0-9]{1,300}"), "boolean": re.compile(r"[01]")}


def verify(schema: Schema, given: Mapping[str, Value]) -> None:
    """Return when the parameters fit; otherwise 400 with all that is wrong."""
    errors = dict(_missing(schema, given))
    for name, value in given.items():
        said = _fault(schema.get(name), value)
        if said:
            errors[name] = said
    if errors:
        raise bad_parameters(errors)


def _missing(schema: Schema, given: Mapping[str, Value]) -> Iterator[tuple[str, str]]:
    for name, param in schema.items():
        if name not in given and not param.optional:
            yield name, "property is missing and it is not optional"
        if name in given and param.needs and param.needs not in given:
            yield param.needs, f"missing property - '{name}' requires this property"


def _fault(param: Param | None, value: Value) -> str:
    if param is None:
        return "property is not defined in schema and the schema does not allow additional properties"
    if not isinstance(value, str):
        return f"type check ('{param.kind}') failed - got ARRAY"
    if param.kind != "string" and not _KINDS[param.kind].fullmatch(value):
        return f"type check ('{param.kind}') failed - got '{value}'"
    return _fault_of_form(param, value) or _fault_of_size(param, value)


def _fault_of_form(param: Param, value: str) -> str:
    said = param.form(value) if param.form else ""
    if param.each and not said:
        said = next((fault for fault in map(param.each, split_list(value)) if fault), "")
    if said:
        return f"invalid format - {said}\n"
    if param.pattern and not param.pattern.fullmatch(value):
        return "value does not match the regex pattern"
    return ""


def _fault_of_size(param: Param, value: str) -> str:
    if param.longest is not None and len(value) > param.longest:
        return f"value may only be {param.longest} characters long"
    if len(value) < param.shortest:
        return f"value must be at least {param.shortest} characters long"
    if param.minimum is not None and int(value) < param.minimum:
        return f"value must have a minimum value of {param.minimum}"
    if param.choices and value not in param.choices:
        return f"value '{value}' does not have a value in the enumeration '{', '.join(param.choices)}'"
    return ""

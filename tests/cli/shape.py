"""The JSON schemas of all output, made of the shapes; ``python -m tests.cli.shape`` writes ``shapes.json`` anew."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from rotator.cli import shapes
from rotator.cli.shapes import SHAPES, Document

CHECKED_IN = Path(shapes.__file__).with_name("shapes.json")
DIALECT = "https://json-schema.org/draft/2020-12/schema"


def adapter(key: str) -> TypeAdapter[Any]:
    """Return what reads the whole output of a command."""
    generic: Any = Document
    return TypeAdapter(generic[SHAPES[key]])


def check_shape(command: str, text: str, *, is_dry: bool) -> None:
    """Raise when the output of a command does not have its shape, or has more than that."""
    key = f"{command} --dry-run" if is_dry and f"{command} --dry-run" in SHAPES else command
    adapter(key).validate_json(text, strict=True)


def schemas() -> str:
    """Write the JSON schemas of all commands' output."""
    found, definitions = TypeAdapter.json_schemas([(key, "serialization", adapter(key)) for key in SHAPES])
    commands = {key: found[key, "serialization"] for key in SHAPES}
    return json.dumps({"$schema": DIALECT, "commands": commands, **definitions}, indent=2) + "\n"


if __name__ == "__main__":
    CHECKED_IN.write_text(schemas(), encoding="utf-8")

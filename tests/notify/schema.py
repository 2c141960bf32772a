"""The schema of a notice, made of its shape; ``python -m tests.notify.schema`` writes ``schema.json`` anew."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import TypeAdapter

from rotator.notify import notice
from rotator.notify.notice import Notice

CHECKED_IN = Path(notice.__file__).with_name("schema.json")
ADAPTER = TypeAdapter(Notice)


def schema() -> str:
    """Write the JSON schema of a notice."""
    dialect = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "rotate: a notice"}
    return json.dumps({**ADAPTER.json_schema(mode="serialization"), **dialect}, indent=2) + "\n"


if __name__ == "__main__":
    CHECKED_IN.write_text(schema(), encoding="utf-8")

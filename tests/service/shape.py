"""The JSON schema of the status document; ``python -m tests.service.shape`` writes ``status.schema.json`` anew."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import TypeAdapter

from rotator.service import document
from rotator.service.document import Document

CHECKED_IN = Path(document.__file__).with_name("status.schema.json")
DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema() -> str:
    """Write the JSON schema of what ``/api/v1/status`` says."""
    made = TypeAdapter(Document).json_schema(mode="validation")
    return json.dumps({"$schema": DIALECT, **made}, indent=2) + "\n"


if __name__ == "__main__":
    CHECKED_IN.write_text(schema(), encoding="utf-8")

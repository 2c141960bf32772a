"""A consumer in a process of its own: ``python -m tests.explore.kill_consumer URL CA RECORD...``.

It reads lines: ``go`` logs in again and again with each record, once as it stands at that moment and once as it stood
at ``go``; ``halt`` stops that and prints what came of it: ``{"logins": 240, "failures": ["401 ..."]}``.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from rotator.testing.consumer import Consumer

INTERVAL = timedelta(milliseconds=40)


def pair(record: Path) -> tuple[str, str]:
    """Read a token as a consumer does."""
    found = json.loads(record.read_text(encoding="utf-8"))
    return found["token_id"], found["token_secret"]


def fresh(record: Path) -> Callable[[], tuple[str, str]]:
    """Read it each time."""
    return lambda: pair(record)


def stale(record: Path) -> Callable[[], tuple[str, str]]:
    """Read it now, once."""
    held = pair(record)
    return lambda: held


def main(url: str, ca: str, *records: str) -> None:
    """Do what the lines of stdin say."""
    certificate, consumers = Path(ca).read_bytes(), list[Consumer]()
    for line in sys.stdin:
        if line.strip() == "go":
            readers = [way(Path(record)) for record in records for way in (fresh, stale)]
            consumers = [Consumer(read, [url], certificate) for read in readers]
            for consumer in consumers:
                consumer.start(INTERVAL)
            answer: object = "going"
        else:
            for consumer in consumers:
                consumer.stop()
            failures = [it.last_failure for it in consumers for _ in range(it.failed)]
            answer = {"logins": sum(it.logins for it in consumers), "failures": failures}
        sys.stdout.write(f"{json.dumps(answer)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])

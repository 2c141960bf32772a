"""A store that speaks Vault's protocol, in a process of its own: ``python -m tests.bench.store``.

One line of JSON tells where it is; each line that is written to it is answered by one on what it has done since.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter

from rotator.testing.vault import SimulatedVault

if __name__ == "__main__":
    with SimulatedVault() as vault:
        where = {"address": vault.address, "token": vault.root_token, "ca": vault.ca_pem.decode()}
        print(json.dumps(where), flush=True)  # noqa: T201 - the line that the other side waits for
        for _ in sys.stdin:
            calls, vault.calls = vault.calls, []
            counted = Counter(f"{it.method} {'/'.join(it.path.split('/')[:2])}" for it in calls)
            print(json.dumps({"calls": counted, "cpu": time.process_time()}), flush=True)  # noqa: T201 - the same

"""What every test can rely on: the canary over the whole run."""

from __future__ import annotations

pytest_plugins = ("tests.canary", "pytester")

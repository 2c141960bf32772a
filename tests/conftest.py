"""What every test can rely on: the canary over the whole run, and how long the drawn examples may take."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, Phase, settings

pytest_plugins = ("tests.canary", "pytester")

_FINDING = [phase for phase in Phase if phase is not Phase.explain]  # explaining a find takes minutes
settings.register_profile(
    "test",
    derandomize=True,  # a commit is green for everybody or for nobody; make fuzz draws anew each time
    deadline=None,  # the machine may be busy
    phases=_FINDING,
    suppress_health_check=[HealthCheck.too_slow],
)
EXAMPLES = int(os.environ.get("EXAMPLES", "5000"))
settings.register_profile("deep", settings.get_profile("test"), derandomize=False, max_examples=EXAMPLES)
settings.load_profile("test")

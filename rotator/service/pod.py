"""What a process can see of the pod that it runs in, if it does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where every pod finds its service account."""


@dataclass(frozen=True)
class Pod:
    """The surroundings of a process."""

    environ: Mapping[str, str]
    account: Path = ACCOUNT

    @property
    def is_one(self) -> bool:
        """Say whether this is a pod with a service account."""
        return "KUBERNETES_SERVICE_HOST" in self.environ and (self.account / "token").is_file()

    @property
    def namespace(self) -> str:
        """Tell the pod's namespace; ``default`` elsewhere."""
        try:
            return (self.account / "namespace").read_text(encoding="utf-8").strip() or "default"
        except OSError:
            return "default"

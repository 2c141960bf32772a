"""The Kubernetes backend does what every backend must; with ROTATE_TEST_KUBECONFIG on a real cluster, too."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import ClassVar

import pytest

from rotator.testing.backend_contract import Subject, TamperContract, Tampering
from rotator_backends.kubernetes_secret import SecretLocation
from tests.kubernetes_secret.lab import KINDS, Lab, encoded, opened
from tests.kubernetes_secret.lab import subject as subject_of


@pytest.fixture(scope="module", params=KINDS)
def lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Open a cluster for all tests of this module."""
    with opened(request.param, tmp_path_factory.mktemp("kubernetes")) as lab:
        yield lab


class TestKubernetes(TamperContract):
    """A key has the letters that Kubernetes takes; values may be anything."""

    refuses: ClassVar[set[str]] = {"odd-key", "unicode-key"}

    @pytest.fixture
    def subject(self, lab: Lab) -> Iterator[Subject]:
        """Give a backend and new secrets."""
        found = subject_of(lab)
        yield found
        found.backend.close()

    @pytest.fixture
    def tampering(self, lab: Lab) -> Tampering:
        """Reach the secret without the backend; bytes that are not UTF-8 are no token."""

        def garble(location: SecretLocation) -> None:
            lab.edit(location.name, {"data": encoded({"token_secret": b"\xff\xfe"})})

        def edit(location: SecretLocation) -> None:
            lab.edit(location.name, {"metadata": {"annotations": {"remark": "seen"}}})

        return Tampering(raw=lambda location: json.dumps(lab.secret(location.name)).encode(), garble=garble, edit=edit)

"""No log level, no exception and no echo of a server's brings a secret to light."""

from __future__ import annotations

import importlib
import logging
import subprocess
import sys
from pathlib import Path
from pkgutil import walk_packages

import boto3
import botocore

import rotator_backends.aws_client

ROOT = Path(__file__).parents[2]


def test_nothing_shows_a_secret_however_loud_the_libraries_are(canaries: tuple[str, ...]) -> None:
    """Old and new token, secret access key and session token stay out of everything, with all at their loudest."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.aws.loud"],
        cwd=ROOT,
        input="\n".join(canaries[:4]),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    out = done.stdout + done.stderr
    assert [number for number, secret in enumerate(canaries[:4]) if secret in out] == []
    assert done.returncode == 0
    assert "DEBUG" in out
    assert "Starting new HTTP connection" in out
    assert "AWS refuses GetSecretValue on aws:eu-west-1/loud: ValidationException" in out
    assert "did not say whether" in out
    assert "send: " not in out


def test_every_logger_of_botocore_is_shut() -> None:
    """Also those of modules that nobody has imported yet, and for whatever level is set later."""
    for package in (boto3, botocore):
        names = [package.__name__, *(module.name for module in walk_packages(package.__path__, f"{package.__name__}."))]
        for name in names:
            logger = logging.getLogger(name)
            logger.setLevel(logging.DEBUG)
            try:
                assert not logger.filter(logging.makeLogRecord({"levelno": logging.CRITICAL})), name
            finally:
                logger.setLevel(logging.NOTSET)


def test_shutting_twice_adds_nothing() -> None:
    """Another import of the client leaves one filter on each logger."""
    importlib.reload(rotator_backends.aws_client)
    assert len(logging.getLogger("botocore.endpoint").filters) <= 1

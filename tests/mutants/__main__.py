"""``python -m tests.mutants [GROUP...]``: change the code in small ways and see whether a test notices; 1 if none does.

mutmut makes the mutants and runs the tests that reach each. It was taken before cosmic-ray because it forks a warm
process for each mutant (7 a second here; a new process for each takes two seconds) and knows which test reaches which
function. What it leaves out (constants, the order of the checks) the unit tests hold by themselves.

It works in a copy under ``build/``. A mutant that survives has to stand in ``explained.toml``, with a reason, and what
stands there has to survive.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.mutants.explained import Mutant, explained, of_diff
from tests.mutants.tree import ROOT, copied


@dataclass(frozen=True, slots=True)
class Group:
    """Modules that are mutated together, and the tests that are to notice."""

    modules: tuple[str, ...]
    tests: tuple[str, ...]

    @property
    def files(self) -> tuple[str, ...]:
        """List the files of the modules."""
        return tuple(f"rotator/{module}.py" for module in self.modules)


GROUPS = {
    "pure": Group(
        ("policy", "plan", "view"),
        (
            "tests/unit/test_policy.py",
            "tests/unit/test_plan.py",
            "tests/unit/test_view.py",
            "tests/unit/test_words.py",
        ),
    ),
    "rotate": Group(("rotate",), ("tests/explore/test_rotate.py", "tests/explore/test_rotate_fails.py")),
}
SETTINGS = """
[tool.mutmut]
source_paths = ["rotator"]
only_mutate = {files}
also_copy = ["backends"]
pytest_add_cli_args_test_selection = {tests}
pytest_add_cli_args = ["-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:cov"]
"""
KILLED = {"killed", "timeout", "segfault", "suspicious"}
ENVIRONMENT = {"ROTATE_TEST_STORES": "file"}


def main(arguments: Sequence[str]) -> int:
    """Run the groups that are named, or all."""
    parser = argparse.ArgumentParser("python -m tests.mutants")
    parser.add_argument("groups", nargs="*", choices=[*GROUPS, []], metavar=f"{{{','.join(GROUPS)}}}")
    parser.add_argument("--children", type=int, default=os.cpu_count() or 1, help="how many tests run at once")
    wanted = parser.parse_args(arguments)
    results = [judged(name, children=wanted.children) for name in wanted.groups or GROUPS]
    return 0 if all(results) else 1


def judged(name: str, *, children: int) -> bool:
    """Run one group and tell of it; False when a mutant survives that may not, or does not that should."""
    group, folder = GROUPS[name], ROOT / "build" / "mutants" / name
    statuses = run(group, folder, children=children)
    left = {shown(folder, mutant) for mutant, status in statuses.items() if status not in KILLED}
    known = {it for it in explained() if it.where.split(".")[1] in group.modules}
    killed = sum(status in KILLED for status in statuses.values())
    told(f"{name}: {len(statuses)} mutants of {', '.join(group.modules)}")
    told(f"{name}: {killed} killed, {len(statuses) - killed} survived, {len(left & known)} of these explained")
    for mutant in sorted(left - known):
        told(f"survived, and nothing explains it: {mutant}")
    for mutant in sorted(known - left):
        told(f"explained, and no longer survives: {mutant}")
    return left == known


def run(group: Group, folder: Path, *, children: int) -> dict[str, str]:
    """Let mutmut do its work; returns the status of each mutant by its name."""
    copied(folder, group.files)
    with (folder / "pyproject.toml").open("a") as file:
        file.write(SETTINGS.format(files=listed(group.files), tests=listed(group.tests)))
    log = folder / "mutmut.log"
    with log.open("w") as output:
        code = mutmut(folder, "run", "--max-children", str(children), output=output.fileno()).returncode
    found = re.findall(r"^\s*(\S+__mutmut_\d+): (.*)$", mutmut(folder, "results", "--all", "true").stdout, re.MULTILINE)
    if code or not found:
        raise SystemExit(f"mutmut gave up; see {log.relative_to(ROOT)}")
    if unknown := set(Counter(dict(found).values())) - KILLED - {"survived", "no tests"}:
        raise SystemExit(f"mutants that were not tried: {', '.join(sorted(unknown))}; see {log.relative_to(ROOT)}")
    return dict(found)


def shown(folder: Path, name: str) -> Mutant:
    """Say what a mutant is."""
    where = re.sub(r"__mutmut_\d+$", "", name)
    where = re.sub(r"\.x_?ǁ?([^.]*)$", lambda found: "." + found[1].replace("ǁ", "."), where)
    return of_diff(where, mutmut(folder, "show", name).stdout)


def mutmut(folder: Path, *arguments: str, output: int = subprocess.PIPE) -> subprocess.CompletedProcess[str]:
    """Run mutmut in the copy; what it imports is the copy's."""
    path = os.pathsep.join(["backends", os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-m", "mutmut", *arguments]
    environment = {**os.environ, **ENVIRONMENT, "PYTHONPATH": path}
    return subprocess.run(  # noqa: S603 - constant
        command, cwd=folder, env=environment, check=False, stdout=output, stderr=subprocess.STDOUT, text=True
    )


def listed(names: Sequence[str]) -> str:
    """Write a list as TOML."""
    return "[" + ", ".join(f'"{name}"' for name in names) + "]"


def told(line: str) -> None:
    """Print one line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

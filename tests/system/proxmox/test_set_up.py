"""The script does at PVE what ``rotate init`` does, as often as it is run, and takes it away again."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from rotator.testing.pve import AnswerInstead, Request
from rotator.testing.state import State
from tests.cli.lab import Time
from tests.docs.stages import shells
from tests.setup.lab import CI, OPERATOR, Lab, changing, fresh
from tests.system.proxmox.pveum import Root, on_path

ROOT = Path(__file__).parents[3]
PAGE = "deploy/proxmox/README.md"
SCRIPT = ROOT / "deploy" / "proxmox" / "set-up"


@dataclass
class Node:
    """A node on which somebody is root: a shell, ``pveum``, and a folder."""

    lab: Lab
    home: Path

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the script."""
        return self._shell(str(SCRIPT), *arguments)

    def types(self, text: str) -> subprocess.CompletedProcess[str]:
        """Type lines in a shell."""
        return self._shell("-euc", text)

    def _shell(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        environ = {"PATH": f"{self.home / 'bin'}{os.pathsep}{os.environ['PATH']}"}
        command = ["/bin/sh", *arguments]
        done = subprocess.run(command, cwd=self.home, env=environ, capture_output=True, text=True, check=False)  # noqa: S603 - ours
        self.lab.look_at_secrets()
        return done

    def set_up(self, *more: str) -> subprocess.CompletedProcess[str]:
        """Set up what the laboratory's ``rotate init`` sets up."""
        return self.run("--owner", "lab", "--user", CI, "--grant", "/vms=PVEVMUser", *more)

    def undo(self, *more: str) -> str:
        """Take it away again; returns what it said."""
        done = self.run("--undo", *more)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout


def installed(folder: Path, canary: str, watch: Callable[[str], None]) -> Iterator[Lab]:
    """Yield a PVE after its installation."""
    folder.mkdir()
    yield from fresh(folder, canary, watch, Time())


@pytest.fixture
def other(tmp_path: Path, canary: str, watch: Callable[[str], None]) -> Iterator[Lab]:
    """Return a second PVE, for ``rotate init``."""
    yield from installed(tmp_path / "other", canary, watch)


@pytest.fixture
def node(tmp_path: Path, canary: str, watch: Callable[[str], None]) -> Iterator[Node]:
    """Return a node of a PVE after its installation."""
    for lab in installed(tmp_path / "etc", canary, watch):
        home = tmp_path / "root"
        (home / "bin").mkdir(parents=True)
        (home / "ca.pem").write_bytes(lab.pve.ca_pem)
        root = Root(lab.pve.nodes[0].url, home / "ca.pem", lab.password)
        with on_path(root, home / "bin"):
            yield Node(lab, home)


def test_the_page_is_followed(node: Node) -> None:
    """What it tells to type, from the top, ends well, and leaves PVE as it was."""
    shutil.copy(SCRIPT, node.home)
    ends = [node.types(block.text).returncode for block in shells(PAGE)]
    assert ends == [0, 0]
    assert len([call for call in changing(node.lab.pve) if call.startswith("POST")]) == 5
    assert node.lab.is_fresh()


def test_another_consumer_needs_no_other_token(node: Node) -> None:
    """The operator's secret may have been taken away by then."""
    node.set_up()
    (node.home / "operator.secret").unlink()
    more = ("--owner", "lab", "--user", "other@pve", "--grant", "/vms=PVEVMUser")
    assert "shows it only once" in node.run(*more).stderr
    assert node.run(*more, "--no-token").returncode == 0
    assert node.lab.pve.tokens(OPERATOR) == ["operator"]
    node.undo()
    assert node.lab.is_fresh()


def test_the_secret_of_another_token_is_not_written_over(node: Node) -> None:
    """PVE shows it only once, and it may not yet have been taken to where it is used."""
    node.set_up()
    file = node.home / "operator.secret"
    before = file.read_bytes()
    done = node.set_up("--token", "second")
    assert (done.returncode, file.read_bytes()) == (2, before)
    assert f"{OPERATOR}!operator" in done.stderr
    assert "--secret-file" in done.stderr
    assert node.set_up("--token", "second", "--secret-file", "second.secret").returncode == 0
    assert node.lab.pve.tokens(OPERATOR) == ["operator", "second"]
    node.undo()
    assert node.set_up("--token", "second").returncode == 0


def without_names(state: State) -> State:
    """Blank what differs each time: names and secrets of tokens."""
    users = {
        userid: replace(user, tokens={str(n): replace(it, secret="") for n, it in enumerate(user.tokens.values())})
        for userid, user in state.users.items()
    }
    return replace(state, users=users)


def test_the_script_is_clean() -> None:
    """What ShellCheck knows of is not in it."""
    assert shutil.which("shellcheck")
    subprocess.run(["shellcheck", str(SCRIPT)], check=True)  # noqa: S603, S607 - Debian's


@pytest.mark.parametrize("word", ["--help", "-h"])
def test_it_says_how_it_is_used(node: Node, word: str) -> None:
    """With every option that the page lists, and no other; it is no mistake to ask, and nothing is done."""
    done = node.run("--dry-run", word)
    assert (done.returncode, done.stderr, node.lab.pve.calls) == (0, "", [])
    page = (ROOT / PAGE).read_text(encoding="utf-8")
    assert set(re.findall(r"--[a-z][a-z-]*", done.stdout)) == set(re.findall(r"--[a-z][a-z-]*", page))


def test_it_makes_what_init_makes(node: Node, other: Lab) -> None:
    """Users, groups, roles, permissions and the operator's token are the same to the last field; and nothing else."""
    assert other.init().exit_code == 0
    done = node.set_up()
    assert (done.returncode, done.stderr) == (0, "")
    assert without_names(node.lab.state) == without_names(other.state)
    assert len(other.pve.tokens(OPERATOR)) == 1


def test_the_secret_goes_into_a_file_and_works(node: Node) -> None:
    """Nothing shows it, only root may read the file, and the operator logs in with it."""
    node.set_up()
    file = node.home / "operator.secret"
    assert file.stat().st_mode & 0o777 == 0o600
    assert node.lab.pve.accepts(f"{OPERATOR}!operator", file.read_text(encoding="utf-8").strip())


def test_a_second_run_changes_nothing_and_undo_takes_all_away(node: Node) -> None:
    """PVE is afterwards as it was after its installation; a second undo has nothing to do."""
    node.set_up()
    calls = changing(node.lab.pve)
    assert "made   " not in node.set_up().stdout
    assert node.set_up("--dry-run").returncode == 0
    assert changing(node.lab.pve) == calls
    node.undo("--dry-run")
    assert changing(node.lab.pve) == calls
    node.undo()
    assert node.lab.is_fresh()
    assert node.undo() == ""


def test_notes_of_another_owner_are_not_mixed_with_ones_own(node: Node) -> None:
    """Whoever mistyped the owner, undid it and began again had notes by which nothing could be undone any more."""
    assert node.run("--owner", "lap", "--user", CI, "--grant", "/vms=PVEVMUser").returncode == 0
    node.undo()
    calls = changing(node.lab.pve)
    for dry in ((), ("--dry-run",)):
        done = node.set_up(*dry)
        assert (done.returncode, changing(node.lab.pve)) == (2, calls)
        assert "set-up.made is of the owner lap" in done.stderr
    assert node.set_up("--made", "lab.made").returncode == 0
    node.undo("--made", "lab.made")
    assert node.lab.is_fresh()


def test_what_others_made_or_use_stays(node: Node) -> None:
    """A group that was there before, a role that somebody else holds, and a user with a token of somebody's."""
    pve = node.lab.pve
    pve.add_group("rotated")
    node.set_up()
    pve.grant("/access/groups/other", "TokenRotator", user=CI)
    pve.add_token(CI, "by-hand")
    said = node.undo()
    assert pve.tokens(CI) == ["by-hand"]
    assert pve.tokens(OPERATOR) == []
    state = node.lab.state
    assert (OPERATOR in state.users, CI in state.users) == (False, True)
    assert "rotated" in state.groups
    assert f"kept   user {CI}: others made tokens of it" in said
    assert "kept   role TokenRotator: others use it" in said


@pytest.mark.parametrize("at", [0, 3, 6, 7])
def test_it_may_be_interrupted_anywhere(node: Node, at: int) -> None:
    """A run that PVE refuses at some change is finished by the next one, and undone as a whole."""
    left = [at]

    def refused(request: Request) -> AnswerInstead | None:
        if request.method == "GET" or request.path == "/access/ticket":
            return None
        left[0] -= 1
        return AnswerInstead(599, "no") if left[0] == -1 else None

    node.lab.pve.intercept = refused
    first = node.set_up()
    node.lab.pve.intercept = None
    assert first.returncode != 0
    assert node.set_up().returncode == 0
    node.undo()
    assert node.lab.is_fresh()


@pytest.mark.parametrize(
    ("prepare", "more", "said"),
    [
        (lambda pve: pve.add_role("TokenRotator", ["Sys.Audit"]), (), "something else than User.Modify"),
        (lambda _: None, ("--user", "root@pam"), "root@pam is not to be managed"),
        (lambda _: None, ("--user", OPERATOR), "would manage its own tokens"),
        (lambda _: None, ("--grant", "/vms=Nobody"), "PVE has no role Nobody"),
        (lambda _: None, ("--grant", "vms"), "not a role on a path"),
        (lambda _: None, ("--user", "ci@nowhere"), "PVE has no realm nowhere, so no user ci@nowhere"),
        (lambda _: None, ("--operator", "rotator@ldap"), "PVE has no realm ldap, so no user rotator@ldap"),
        (lambda pve: pve.add_user(CI, enable=False), (), "is disabled"),
    ],
    ids=["role", "root", "operator", "no-such-role", "no-path", "no-such-realm", "operators-realm", "disabled"],
)
def test_what_is_in_the_way_is_said_before_the_first_change(
    node: Node, prepare: Callable[[object], None], more: tuple[str, ...], said: str
) -> None:
    """As ``rotate init`` does, and nothing was changed."""
    prepare(node.lab.pve)
    done = node.set_up(*more)
    assert (done.returncode, changing(node.lab.pve)) == (2, [])
    assert said in done.stderr

"""``--login user@realm``: a person works in the operator's place, with a ticket, on every command that talks to PVE."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest

from rotator.cli import main as entry
from rotator.cli.login import Login
from rotator.model import Secret
from rotator.proxmox_login import factors, response
from rotator.testing.pve import Request
from rotator.testing.second_factor import Totp
from tests.cli.lab import OPERATOR, USER, Lab, Time, only
from tests.setup.terminal import CTRL_C, sit

ADMIN = "ann@pve"
KEY = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
COMMANDS = ("now", "due", "plan", "status", "verify", "adopt")
HOURS = 3600.0


@pytest.fixture
def lab(tmp_path: Path, watch: Callable[[str], None]) -> Iterator[Lab]:
    """Return a laboratory whose operator is gone, so that only a person can work."""
    made = Lab(tmp_path, Time(), watch)
    made.add_cluster("one")
    made.pve.delete_token(OPERATOR)
    made.add("ci")
    yield made
    for pve in made.clusters.values():
        pve.close()


@pytest.fixture
def password(lab: Lab, canary: str) -> str:
    """Make an administrator; return the password."""
    lab.pve.add_user(ADMIN, password=canary)
    lab.pve.grant("/", "Administrator", user=ADMIN)
    return canary


def file_with(lab: Lab, *lines: str) -> str:
    """Write a password file."""
    path = lab.folder / "password"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    path.chmod(0o600)
    return str(path)


def test_every_command_works_as_a_person(lab: Lab, password: str) -> None:
    """Reads and changes alike go out with the ticket, and none of them asks for the operator."""
    for command in COMMANDS:
        names = ["ci"] if command in {"now", "adopt"} else []
        more = ["--yes"] if command == "adopt" else []
        given = ["--login", ADMIN, "--password-file", file_with(lab, password)]
        assert lab.call(command, *names, *more, *given).exit_code == 0
    assert {call.who for call in lab.pve.calls if call.path.startswith("/access/users")} == {ADMIN}
    assert lab.works("ci")


def test_without_it_the_operator_works(lab: Lab, password: str) -> None:
    """The option is what makes the difference."""
    assert password
    assert lab.call("due").exit_code == 4


def test_only_what_talks_to_pve_has_it() -> None:
    """Unattended work wants a token, so what runs unattended for ever takes no password."""
    root = entry.rotate
    context = click.Context(root)
    found = {
        name
        for name in root.list_commands(context)
        if (command := root.get_command(context, name)) and any("--login" in it.opts for it in command.params)
    }
    assert found >= {*COMMANDS}
    assert found.isdisjoint({"serve", "pause", "resume", "completion", "demo", "sim", "config"})


def test_a_change_carries_the_csrf_token(lab: Lab, password: str) -> None:
    """PVE answers 401 to a change of a ticket without it: there is none of these."""
    lab.call("now", "ci", "--login", ADMIN, "--password-file", file_with(lab, password))
    assert {call.status for call in lab.pve.calls if call.method != "GET"} == {200}


def test_a_password_comes_from_standard_input(lab: Lab, password: str) -> None:
    """As a password manager prints it."""
    result = lab.call("due", "--login", ADMIN, "--password-file", "-", stdin=f"{password}\n")
    assert result.exit_code == 0


def test_a_password_comes_from_a_descriptor(lab: Lab, password: str) -> None:
    """As a shell's `<(...)` hands it over: a pipe, which nobody else can read."""
    ours, theirs = os.pipe()
    os.write(theirs, f"{password}\n".encode())
    os.close(theirs)
    assert lab.call("due", "--login", ADMIN, "--password-file", f"/dev/fd/{ours}").exit_code == 0
    os.close(ours)


def test_the_second_line_is_the_code(lab: Lab, canary: str) -> None:
    """A second factor does not need a terminal."""
    lab.pve.add_user(ADMIN, password=canary, totp_secret=KEY)
    lab.pve.grant("/", "Administrator", user=ADMIN)
    code = Totp(KEY).code(lab.time.stamp())
    assert lab.call("due", "--login", ADMIN, "--password-file", file_with(lab, canary, code)).exit_code == 0
    refused = lab.call("due", "--login", ADMIN, "--password-file", file_with(lab, canary))
    assert (refused.exit_code, "second line of --password-file" in refused.stderr) == (2, True)


def test_a_recovery_code_is_as_good_and_good_once(lab: Lab, password: str) -> None:
    """PVE wants to be told which kind it is; their form tells."""
    (user,) = [it for name, it in lab.pve.cluster.newest().users.items() if name == ADMIN]
    factors = user.factors.with_recovery(0)
    changed = type(user)(password=user.password, factors=factors)
    lab.pve.cluster.plant(lambda state: state.with_user(ADMIN, changed))
    given = file_with(lab, password, factors.recovery[3])
    assert lab.call("due", "--login", ADMIN, "--password-file", given).exit_code == 0
    assert lab.call("due", "--login", ADMIN, "--password-file", given).exit_code == 4


def test_the_ticket_is_renewed_while_the_work_lasts(lab: Lab, canary: str) -> None:
    """An hour passes with every new token; nobody is asked for a second code."""
    lab.pve.add_user(ADMIN, password=canary, totp_secret=KEY)
    lab.pve.grant("/", "Administrator", user=ADMIN)
    for number in range(4):
        lab.add(f"more{number}")

    def disturb(asked: Request) -> None:
        if asked.method == "POST" and "/token/" in asked.path:
            lab.time.passed += 1.1 * HOURS

    lab.pve.intercept = disturb
    given = file_with(lab, canary, Totp(KEY).code(lab.time.stamp()))
    assert lab.call("due", "--login", ADMIN, "--password-file", given, "--parallel", "1").exit_code == 0
    assert [call.path for call in lab.pve.calls].count("/access/ticket") > 3


def test_a_code_is_asked_for_once() -> None:
    """After a ticket was lost there is nobody at the keyboard: the run says so and ends."""
    questions: list[str] = []

    def typed(question: str) -> str:
        questions.append(question)
        return "123456"

    ticket = Login(ADMIN, ask=typed, is_there=lambda: True).ticket("home")
    assert ticket.otp is not None
    assert ticket.otp() == Secret("123456")
    with pytest.raises(Exception, match="a new one needs another code"):
        ticket.otp()
    assert questions == [f"Password of {ADMIN} at home", f"One-time or recovery code of {ADMIN} at home"]


def test_a_wrong_password_says_what_to_look_at(lab: Lab, password: str, canaries: tuple[str, ...]) -> None:
    """One login, one refusal; the realm is the usual mistake."""
    assert password
    found = lab.json("due", "--login", ADMIN, "--password-file", file_with(lab, canaries[1]))
    assert found["exit_code"] == 4
    assert "the realm of ann@pve (pam or pve?)" in only(found["errors"])["hint"]
    assert [call.path for call in lab.pve.calls] == ["/access/ticket"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--login", ADMIN], "nobody is there to type the password of ann@pve: give --password-file"),
        (["--login", ADMIN, "--json"], "give --password-file"),
        (["--login", "ann"], "a user without its realm"),
        (["--password-file", "-"], "--password-file goes with --login USER@REALM"),
        (["--login", ADMIN, "--password-file", "/nonexistent/p"], "cannot be read: No such file"),
        (["--login", ADMIN, "--password-file", "-"], "its first line is empty"),
    ],
)
def test_what_is_missing_is_named(lab: Lab, arguments: list[str], said: str) -> None:
    """A wrong usage, found before PVE is asked anything."""
    result = lab.call("due", *arguments, stdin="")
    assert result.exit_code == 2
    assert said in " ".join(result.stderr.replace("│", " ").split())
    assert lab.pve.calls == []


def test_a_file_that_everybody_may_read_is_refused(lab: Lab, password: str) -> None:
    """What lies open is known to others already."""
    path = file_with(lab, password)
    Path(path).chmod(0o644)
    result = lab.call("due", "--login", ADMIN, "--password-file", path)
    assert (result.exit_code, "everybody may read" in result.stderr) == (2, True)


def test_a_file_that_is_not_text_is_refused(lab: Lab) -> None:
    """Not a traceback with the password in it."""
    path = lab.folder / "password"
    path.write_bytes(b"\xff\xfe\xff")
    path.chmod(0o600)
    assert "is not text" in lab.call("due", "--login", ADMIN, "--password-file", str(path)).stderr


def test_on_a_terminal_password_and_code_are_asked_for_and_not_shown(lab: Lab, canary: str) -> None:
    """As ssh does: two hidden questions, then the usual output."""
    lab.pve.add_user(ADMIN, password=canary, totp_secret=KEY)
    lab.pve.grant("/", "Administrator", user=ADMIN)
    code = Totp(KEY).code(lab.time.stamp())
    answers = [(f"Password of {ADMIN} at one: ", canary), (f"code of {ADMIN} at one: ", code)]
    sitting = sit(["due", "--login", ADMIN], answers, {"ROTATE_CONFIG": str(lab.config)} | lab.environ)
    assert sitting.exit_code == 0
    assert canary not in sitting.screen
    assert code not in sitting.screen
    assert lab.works("ci")


def test_ctrl_c_at_the_password_leaves_everything_as_it_is(lab: Lab, password: str) -> None:
    """Nothing is begun, and the terminal shows again what is typed."""
    assert password
    answers = [(f"Password of {ADMIN} at one: ", CTRL_C)]
    sitting = sit(["due", "--login", ADMIN], answers, {"ROTATE_CONFIG": str(lab.config)} | lab.environ)
    assert (sitting.exit_code, "interrupted; nothing more was begun" in sitting.screen) == (130, True)
    assert USER not in {call.who for call in lab.pve.calls}


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("123456", "totp:123456"),
        (" 123 456 ", "totp:123456"),
        ("0123-4567-89AB-cdef", "recovery:0123-4567-89ab-cdef"),
    ],
)
def test_codes_are_taken_as_people_type_them(code: str, said: str) -> None:
    """Blanks mean nothing, and PVE writes recovery codes in small letters."""
    assert response(Secret(code)) == said


@pytest.mark.parametrize(
    ("challenge", "kinds"),
    [
        ("PVE:!tfa!%7B%22totp%22%3Atrue%2C%22webauthn%22%3Afalse%7D:6A::x", {"totp"}),
        ("PVE:!tfa!%7B%22recovery%22%3A%5B0%5D%7D:6A::x", {"recovery"}),
        ("PVE:!tfa!not-json:6A::x", set()),
        ("PVE:!tfa!%5B%5D:6A::x", set()),
        ("something else", set()),
    ],
)
def test_a_challenge_says_which_factors_there_are(challenge: str, kinds: set[str]) -> None:
    """A key that only a browser can ask is told from a code that can be typed; what is not understood is no reason."""
    assert factors(challenge) == kinds

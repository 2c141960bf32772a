"""A wrong answer in the dialog of ``rotate init`` ends nothing: it says what is wrong, and asks again."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest

from rotator.cli.init_questions import Given
from rotator.cli.initializing import Setup
from rotator.cli.invocation import Invocation
from rotator.cli.login import Login
from rotator.errors import ConfigError, RefusedError, RotatorError, UnauthenticatedError, UnavailableError
from tests.setup.lab import CI, ROOT, Lab, Scripted, changing

LOG_IN = "Log in as (once; nothing of it is kept)"
NAME = "Name of the credential, for example of its consumer"
USE = "What may it do (one of these, or PATH=ROLE, several with blanks between)"
USER = "Its user at PVE"
PLACE = "Where ci reads its token (path)"
OPERATORS = "Where to keep the operator's own token (path)"
NOBODY_THERE = "127.0.0.1:1"


@dataclass
class Mistaken(Scripted):
    """Somebody who answers some questions wrongly the first time; ``offered`` is what stood there as the default."""

    wrong: dict[str, str] = field(default_factory=dict)
    offered: list[tuple[str, str]] = field(default_factory=list)

    def ask(self, question: str, default: str = "") -> str:
        """Answer wrongly once."""
        self.offered.append((question, default))
        if question in self.wrong:
            self.asked.append(question)
            return self.wrong.pop(question)
        return super().ask(question, default)

    def times(self) -> Counter[str]:
        """Count how often each question was asked that takes a text."""
        return Counter(question for question, _ in self.offered)


def refused(lab: Lab, asker: Scripted, *, login: Login | None = None, **given: Any) -> RotatorError:  # noqa: ANN401 - of an option
    """Begin with options that end it; nothing is made."""
    asked = Invocation("init", lab.config, as_json=False, verbose=False, clock=lab.time, login=login)
    setup = Setup(asked, Given(owner="lab", **given), asker)
    with pytest.raises(RotatorError) as caught:
        setup.make()
    setup.close()
    assert (changing(lab.pve), lab.files()) == ([], [])
    return caught.value


@pytest.mark.parametrize(
    ("question", "wrong", "said"),
    [
        (NAME, "1ci", "PVE token names begin with a letter"),
        (USE, "/vms=PVEVMUsr", "PVE has no role PVEVMUsr; did you mean 'PVEVMUser'?"),
        (USER, "ci@nowhere", "PVE has no realm nowhere; there is pam, pve"),
        (USER, ROOT, "root@pam is not to be managed"),
        (USER, "rotator@pve", "rotator@pve would manage its own tokens"),
        (PLACE, "ci.json", "path: must be absolute, or the backend needs a root that it is below; for example /"),
        (PLACE, "~/ci.json", "'~' depends on who runs rotate"),
        (OPERATORS, "operator.json", "path: must be absolute"),
        (OPERATORS, "/etc/operator", "format: cannot be told from the name operator"),
    ],
)
def test_a_wrong_answer_is_asked_for_again_and_no_other(new: Lab, question: str, wrong: str, said: str) -> None:
    """It says what is wrong with it; all that was typed before holds."""
    asker = Mistaken(new.answers(), wrong={question: wrong})
    assert new.dialog(asker, is_known=True).exit_code == 0
    assert [it for it in asker.said if said in it]
    assert {it: count for it, count in asker.times().items() if count > 1} == {question: 2}
    assert new.is_set_up()


def test_answers_that_do_not_fit_together_are_offered_again(new: Lab) -> None:
    """Each was right by itself: two tokens in one file. What was typed stands there as the default."""
    typed = {USER: "ci-2@pve", OPERATORS: str(new.folder / "ci.json")}
    corrected = {OPERATORS: str(new.folder / "operator.json")}
    asker = Mistaken(new.answers(**corrected), wrong=dict(typed))
    assert new.dialog(asker, is_known=True).exit_code == 0
    assert [it for it in asker.said if "the operator of the cluster home is read from there" in it]
    assert asker.offered[-5:] == [
        (NAME, "ci"),
        (USE, "/vms=PVEVMUser"),
        (USER, typed[USER]),
        (PLACE, str(new.folder / "ci.json")),
        (OPERATORS, typed[OPERATORS]),
    ]


def test_a_mistyped_password_is_asked_for_again(new: Lab) -> None:
    """And the user, who may be mistyped just as well; the certificate that was trusted is."""
    asker = Mistaken(new.answers(), wrong={f"Password of {ROOT} at home": "mistyped"})
    assert new.dialog(asker).exit_code == 0
    assert [asker.asked.count(it) for it in (LOG_IN, "Trust it from now on?")] == [2, 1]
    assert new.is_set_up()


def test_a_password_that_is_mistyped_the_next_time_is_asked_for_again_as_well(new: Lab) -> None:
    """With a configuration that is there, to go on with it or to take all away."""
    password = f"Password of {ROOT} at home"
    assert new.dialog(Scripted(new.answers())).exit_code == 0
    for undo in (False, True):
        asker = Mistaken(new.answers(), wrong={password: "mistyped"})
        assert new.dialog(asker, undo=undo).exit_code == 0
        assert asker.asked.count(password) == 2
    assert new.is_fresh()


def test_a_user_who_may_not_see_enough_is_asked_for_again(new: Lab) -> None:
    """It says what is lacking; the next one may."""
    new.pve.add_user(CI, password=new.password)
    asker = Mistaken(new.answers(**{LOG_IN: ROOT}), wrong={LOG_IN: CI})
    assert new.dialog(asker, is_known=True).exit_code == 0
    assert [it for it in asker.said if "it lacks Sys.Audit on /access" in it]


def test_what_was_given_with_the_login_is_not_asked_for(new: Lab) -> None:
    """A wrong file, and a user by ``--login`` who may not see enough, end it: another answer would not help."""
    new.pve.add_user(CI, password=new.password)
    known: Any = {"endpoints": (new.pve.nodes[0].endpoint,), "fingerprint": new.pve.fingerprint}
    file = new.folder.parent / "mistyped"
    file.write_text("mistyped\n", encoding="utf-8")
    file.chmod(0o600)
    asker = Scripted(new.answers())
    assert isinstance(refused(new, asker, login=Login(ROOT, str(file)), **known), UnauthenticatedError)
    assert isinstance(refused(new, asker, login=Login(CI, new.password_file()), **known), RefusedError)
    assert asker.asked == []


@pytest.mark.parametrize("by", ["fingerprint", "authority"])
def test_an_address_where_nobody_answers_is_asked_for_again(new: Lab, by: str) -> None:
    """Before a password is typed, however the node is to be known."""
    asker = Mistaken(new.answers(), wrong={"Address of a node (host or host:port)": NOBODY_THERE})
    ca = new.folder.parent / "ca.pem"
    ca.write_bytes(new.pve.ca_pem)
    known: Any = {"fingerprint": new.pve.fingerprint} if by == "fingerprint" else {"ca": ca}
    asked = Invocation("init", new.config, as_json=False, verbose=False, clock=new.time)
    setup = Setup(asked, Given(owner="lab", **known), asker)
    assert setup.make().exit_code == 0
    setup.close()
    assert [it for it in asker.said if NOBODY_THERE in it]
    assert asker.asked.index(LOG_IN) == 2
    assert new.is_set_up()


def test_an_address_that_was_given_is_not_asked_for(new: Lab) -> None:
    """An option with a node that does not answer ends it."""
    asker = Scripted(new.answers())
    assert isinstance(refused(new, asker, endpoints=(NOBODY_THERE,)), UnavailableError)
    assert asker.asked == []


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"every": "soon"}, "credentials[not-asked-yet].every: not a duration"),
        ({"every": "1h", "overlap": "24h"}, "longer than every"),
        ({"user": ROOT}, "root@pam is not to be managed"),
        ({"place": ("path=ci.json",)}, "destination.path: must be absolute"),
        ({"store": "etcd"}, "no backend of the name 'etcd'"),
    ],
)
def test_options_that_make_no_configuration_are_told_before_anything_is_asked(
    new: Lab, given: dict[str, Any], said: str
) -> None:
    """Whoever typed all answers would have typed them for nothing."""
    asker = Scripted(new.answers())
    error = refused(new, asker, **given)
    assert isinstance(error, ConfigError | RefusedError)
    assert said in error.message
    assert (asker.asked, new.pve.calls) == ([], [])

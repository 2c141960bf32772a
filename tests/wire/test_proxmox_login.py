"""The operator's login: tokens that change under us, passwords, tickets and second factors."""

from __future__ import annotations

import base64
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Barrier, BrokenBarrierError

import pytest

from rotator.errors import ConfigError, RotatorError, UnauthenticatedError, UnavailableError
from rotator.model import Secret, Token, TokenId
from rotator.proxmox import TicketLogin
from rotator.testing.pve import AnswerInstead, HangUpAfter, Request
from rotator.testing.second_factor import Totp
from tests.wire.lab import CI, Lab, Rogue, add_token, answer, saying

PASSWORD = Secret("correct horse + battery & staple =ü")
ADMIN = "admin@pve"
TOTP_SECRET = base64.b32encode(b"0123456789abcdef").decode()
NEXT = TokenId("op@pve", "next")


class Source:
    """An operator source that counts, and whose answer can be changed."""

    def __init__(self, *answers: Token | RotatorError) -> None:
        self.answers = list(answers)
        self.asked = 0

    def __call__(self) -> Token:
        """Give the next answer, the last one for ever."""
        self.asked += 1
        given = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(given, RotatorError):
            raise given
        return given


class Monotonic:
    """A clock that stands still until it is told otherwise."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        """Tell the time."""
        return self.seconds


def administrator(lab: Lab, **settings: str) -> None:
    """Make a user that logs in with a password."""
    lab.pve.add_user(ADMIN, password=PASSWORD.reveal(), **settings)  # type: ignore[arg-type] # only texts are given
    lab.pve.grant("/", "Administrator", user=ADMIN)


def logins(lab: Lab) -> int:
    """Count the logins that were tried."""
    return [path for _, _, path in lab.asked()].count("/access/ticket")


def test_the_operator_is_read_when_it_is_needed_and_not_before(lab: Lab) -> None:
    """Making the adapter contacts nobody; two calls read the operator once."""
    source = Source(lab.operator)
    cluster = lab.cluster(login=source)
    assert source.asked == 0
    cluster.users()
    cluster.users()
    assert source.asked == 1


def test_an_operator_that_cannot_be_read_is_no_failure_of_an_endpoint(lab: Lab) -> None:
    """The source's own error comes out, and it is asked once, not once for each endpoint."""
    source = Source(ConfigError("no such file"))
    with pytest.raises(ConfigError, match="no such file"):
        lab.cluster(login=source).users()
    down = Source(UnavailableError("the vault is sealed"))
    with pytest.raises(UnavailableError, match=r"^the vault is sealed$"):
        lab.cluster(login=down).users()
    assert (source.asked, down.asked) == (1, 1)


@pytest.mark.parametrize("changing", [False, True])
def test_a_refused_operator_is_read_again_once(lab: Lab, *, changing: bool) -> None:
    """A service that holds an old operator goes on with the new one, and the call is repeated: a 401 did nothing."""
    new = add_token(lab.pve, NEXT)
    lab.pve.delete_token(str(lab.operator.id))
    source = Source(lab.operator, new)
    cluster = lab.cluster(login=source)
    if changing:
        cluster.issue(CI, privsep=True, expire=None, comment="")
    assert "svc@pve" in cluster.users()
    assert source.asked == 2
    assert [call.who for call in lab.pve.calls if call.status == 200] == [str(NEXT)] * (3 if changing else 1)
    assert [call.status for call in lab.pve.calls].count(401) == 1


def test_a_change_is_repeated_with_the_new_operator(lab: Lab) -> None:
    """The operator may die between a read and the change after it."""
    new = add_token(lab.pve, NEXT)
    cluster = lab.cluster(login=Source(lab.operator, new))
    cluster.users()
    lab.pve.delete_token(str(lab.operator.id))
    cluster.issue(CI, privsep=True, expire=None, comment="")
    assert lab.pve.tokens("svc@pve") == [CI.name]


def test_an_operator_that_stays_refused_is_not_shown_again(lab: Lab) -> None:
    """The same token again would be one more refused login in PVE's log."""
    lab.pve.delete_token(str(lab.operator.id))
    source = Source(lab.operator)
    with pytest.raises(UnauthenticatedError) as caught:
        lab.cluster(login=source).users()
    assert "the operator" in caught.value.hint
    assert (source.asked, [call.status for call in lab.pve.calls]) == (2, [401])


def test_a_refused_operator_that_cannot_be_read_again_says_both(lab: Lab) -> None:
    """What PVE said matters, and why nothing newer is at hand."""
    lab.pve.delete_token(str(lab.operator.id))
    source = Source(lab.operator, UnavailableError("the vault is sealed"))
    with pytest.raises(UnauthenticatedError, match=r"does not accept the operator any more.*the vault is sealed"):
        lab.cluster(login=source).users()


def test_an_operator_that_cannot_be_shown_is_read_again_by_the_next_call(lab: Lab) -> None:
    """Whoever takes the line break out of the record need not restart the service; PVE is shown nothing of it."""
    broken = Token(lab.operator.id, Secret(f"{lab.operator.secret.reveal()}\n"))
    source = Source(broken, lab.operator)
    cluster = lab.cluster(login=source)
    with pytest.raises(UnauthenticatedError, match="white space"):
        cluster.users()
    assert "svc@pve" in cluster.users()
    assert (source.asked, [call.status for call in lab.pve.calls]) == (2, [200])


def test_a_new_operator_that_cannot_be_shown_is_read_again_by_the_next_call(lab: Lab) -> None:
    """It takes the place of the refused one only when it can be shown."""
    new = add_token(lab.pve, NEXT)
    broken = Token(new.id, Secret(f"{new.secret.reveal()}\n"))
    source = Source(lab.operator, broken, new)
    cluster = lab.cluster(login=source)
    cluster.users()
    lab.pve.delete_token(str(lab.operator.id))
    with pytest.raises(UnauthenticatedError, match="white space"):
        cluster.users()
    assert "svc@pve" in cluster.users()
    assert source.asked == 3


def test_many_threads_read_a_refused_operator_again_only_once(lab: Lab) -> None:
    """The first one that meets the 401 renews it for all."""
    new = add_token(lab.pve, NEXT)
    source = Source(lab.operator, new)
    cluster = lab.cluster(login=source)
    cluster.users()
    lab.pve.delete_token(str(lab.operator.id))
    with ThreadPoolExecutor(8) as pool:
        assert all("svc@pve" in users for users in pool.map(lambda _: cluster.users(), range(16)))
    assert source.asked == 2


def test_a_switched_operator_is_used_at_once(lab: Lab) -> None:
    """After its own rotation the operator is the successor, without asking the source."""
    new = add_token(lab.pve, NEXT)
    source = Source(lab.operator)
    cluster = lab.cluster(login=source)
    cluster.users()
    cluster.switch(new)
    cluster.users()
    assert [call.who for call in lab.pve.calls] == [str(lab.operator.id), str(NEXT)]
    assert source.asked == 1


def test_a_password_gives_a_ticket_that_reads_and_changes(lab: Lab) -> None:
    """One login serves all calls, with the CSRF token beside changes."""
    administrator(lab)
    cluster = lab.cluster(login=TicketLogin(ADMIN, PASSWORD))
    cluster.users()
    cluster.issue(CI, privsep=True, expire=None, comment="")
    cluster.update(CI, comment="x")
    cluster.revoke(CI)
    assert logins(lab) == 1
    assert {call.who for call in lab.pve.calls if call.path != "/access/ticket"} == {ADMIN}


def test_a_ticket_does_not_ride_beside_a_consumers_token(lab: Lab) -> None:
    """PVE ignores the token when a cookie comes along: a login would prove nothing."""
    administrator(lab)
    token = add_token(lab.pve, CI)
    cluster = lab.cluster(login=TicketLogin(ADMIN, PASSWORD))
    cluster.users()
    cluster.consumer(token).login(lab.addresses[0])
    assert lab.pve.calls[-1].who == str(CI)
    lab.pve.delete_token(str(CI))
    with pytest.raises(UnauthenticatedError):
        cluster.consumer(token).login(lab.addresses[0])


def test_a_second_factor_is_given_when_it_is_asked_for(lab: Lab) -> None:
    """The code is asked of the human once, after the password."""
    administrator(lab, totp_secret=TOTP_SECRET)
    asked = Counter[str]()

    def otp() -> Secret:
        asked["code"] += 1
        return Secret(Totp(TOTP_SECRET).code(lab.pve.now()))

    cluster = lab.cluster(login=TicketLogin(ADMIN, PASSWORD, otp))
    cluster.users()
    cluster.issue(CI, privsep=True, expire=None, comment="")
    assert (asked["code"], logins(lab)) == (1, 2)


def test_a_missing_or_wrong_second_factor_is_not_accepted(lab: Lab) -> None:
    """Both are refused logins, not crashes, and no code or password is in what is said."""
    administrator(lab, totp_secret=TOTP_SECRET)
    with pytest.raises(UnauthenticatedError, match="second factor"):
        lab.cluster(login=TicketLogin(ADMIN, PASSWORD)).users()
    with pytest.raises(UnauthenticatedError) as caught:
        lab.cluster(login=TicketLogin(ADMIN, PASSWORD, lambda: Secret("000000"))).users()
    assert "000000" not in caught.value.message + caught.value.hint


def test_a_second_factor_that_cannot_be_got_is_no_failure_of_an_endpoint(lab: Lab) -> None:
    """Its key is in a store that is down: that is said, and no other node is asked with the password."""
    administrator(lab, totp_secret=TOTP_SECRET)

    def otp() -> Secret:
        raise UnavailableError("the vault is sealed", hint="unseal it")

    with pytest.raises(UnauthenticatedError, match=r"a second factor of admin@pve.*: the vault is sealed$") as caught:
        lab.cluster(login=TicketLogin(ADMIN, PASSWORD, otp)).users()
    assert (caught.value.hint, logins(lab)) == ("unseal it", 1)


def test_a_wrong_password_is_not_accepted_and_not_repeated(lab: Lab) -> None:
    """A lock-out after some tries is near enough; and what was wrong is not told to the world."""
    administrator(lab)
    with pytest.raises(UnauthenticatedError) as caught:
        lab.cluster(login=TicketLogin(ADMIN, Secret("wrong-horse"))).users()
    assert "wrong-horse" not in str(caught.value) + caught.value.hint
    assert logins(lab) == 1


@pytest.mark.parametrize("password", ["half a \ud83d", "not \udcfc UTF-8"])
def test_a_password_that_no_text_can_be_is_a_wrong_one(lab: Lab, password: str) -> None:
    """JSON can write half a character, and an environment any bytes: PVE refuses it, and nothing crashes."""
    administrator(lab)
    with pytest.raises(UnauthenticatedError, match="the login was refused"):
        lab.cluster(login=TicketLogin(ADMIN, Secret(password))).users()


def test_a_ticket_is_renewed_with_itself_before_it_ends(lab: Lab) -> None:
    """Tickets live two hours; after one they are renewed without a second factor, which nobody may be there to give."""
    administrator(lab, totp_secret=TOTP_SECRET)
    codes = [Secret(Totp(TOTP_SECRET).code(lab.pve.now()))]
    clock = Monotonic()
    cluster = lab.cluster(login=TicketLogin(ADMIN, PASSWORD, codes.pop), monotonic=clock)
    for _ in range(5):
        cluster.users()
        clock.seconds += 3601
        lab.pve.clock_offset += 3601
    assert logins(lab) == 2 + 4


def test_a_ticket_that_ended_is_replaced_with_the_password(lab: Lab) -> None:
    """After a long sleep the old ticket renews nothing any more, or is refused; the password still works."""
    administrator(lab)
    clock = Monotonic()
    cluster = lab.cluster(login=TicketLogin(ADMIN, PASSWORD), monotonic=clock)
    cluster.users()
    lab.pve.clock_offset += 9000  # our clock slept with the machine
    cluster.users()
    clock.seconds += 9000
    lab.pve.clock_offset += 9000
    cluster.users()
    assert logins(lab) == 4


def test_many_threads_replace_a_ticket_that_ended_only_once(lab: Lab) -> None:
    """The first one that meets the 401 logs in for all: each login may cost a human a code."""
    administrator(lab)
    cluster = lab.cluster(login=TicketLogin(ADMIN, PASSWORD), monotonic=Monotonic())
    cluster.users()
    lab.pve.clock_offset += 9000
    together = Barrier(8)

    def disturb(asked: Request) -> None:
        if asked.path == "/access/users" and together.n_waiting < 8 and not together.broken:
            with suppress(BrokenBarrierError):
                together.wait(5)
                together.abort()

    lab.pve.intercept = disturb
    with ThreadPoolExecutor(8) as pool:
        assert all("svc@pve" in users for users in pool.map(lambda _: cluster.users(), range(8)))
    assert logins(lab) == 2


def test_after_a_switch_the_ticket_is_not_used_any_more(lab: Lab) -> None:
    """Setting up ends with the token that was set up; a 401 does not fall back to the password."""
    administrator(lab)
    cluster = lab.cluster(login=TicketLogin(ADMIN, PASSWORD))
    cluster.users()
    cluster.switch(lab.operator)
    cluster.users()
    assert lab.pve.calls[-1].who == str(lab.operator.id)
    lab.pve.delete_token(str(lab.operator.id))
    with pytest.raises(UnauthenticatedError):
        cluster.users()
    assert logins(lab) == 1


def test_a_login_that_gets_no_answer_goes_to_the_next_endpoint(lab: Lab) -> None:
    """Logging in changes nothing, so it is no unknown outcome."""
    administrator(lab)
    lab.pve.intercept = lambda asked: HangUpAfter() if (asked.node, asked.method) == ("pve1", "POST") else None
    cluster = lab.cluster(login=TicketLogin(ADMIN, PASSWORD))
    assert "svc@pve" in cluster.users()
    lab.pve.intercept = lambda asked: AnswerInstead(596) if asked.path == "/access/ticket" else None
    with pytest.raises(UnavailableError):
        lab.cluster(login=TicketLogin(ADMIN, PASSWORD)).users()


@pytest.mark.parametrize(
    "body",
    [
        b"<html>",
        b'{"data":null}',
        b'{"data":{"ticket":"x"}}',
        b'{"data":{"ticket":1}}',
        b'{"data":{"ticket":"","CSRFPreventionToken":"x"}}',
        rb'{"data":{"ticket":"\ud800","CSRFPreventionToken":"x"}}',
        rb'{"data":{"ticket":"x","CSRFPreventionToken":"a\nb"}}',
        rb'{"data":{"ticket":"x","CSRFPreventionToken":"\u20ac"}}',
    ],
)
def test_a_login_answered_with_something_else_is_no_login(body: bytes) -> None:
    """A 200 without a ticket is not PVE's, nor is one with what no header could carry."""
    with Rogue(saying(answer(body))) as rogue, pytest.raises(UnavailableError, match="holds no ticket"):
        rogue.cluster(login=TicketLogin(ADMIN, PASSWORD)).users()

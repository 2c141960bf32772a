"""A program that logs all it can while it uses the adapter; run by ``test_proxmox_secrets`` as a process of its own.

The secrets come on standard input, one a line: operator, password, new token. Everything else goes out.
"""

from __future__ import annotations

import http.client
import logging
import logging.config
import socket
import sys
import traceback
from collections.abc import Callable, Iterator

from rotator.errors import RotatorError
from rotator.model import Grant, Secret, Token, TokenId
from rotator.proxmox import ProxmoxCluster, TicketLogin
from tests.wire.lab import CI, Behaviour, Rogue, answer


def turn_everything_up() -> None:
    """Do what people do when they want to see what goes on, after everything is imported, and open what is shut."""
    logging.getLogger("proxmoxer.core").filters.clear()
    logging.basicConfig(level=logging.DEBUG, stream=sys.stdout)
    names = (*logging.root.manager.loggerDict, "proxmoxer.core", "urllib3", "http.client")
    loggers = {name: {"level": "DEBUG", "propagate": True} for name in names}
    root = {"level": "DEBUG", "handlers": ["out"]}
    handlers = {"out": {"class": "logging.StreamHandler", "stream": "ext://sys.stdout"}}
    logging.config.dictConfig(
        {"version": 1, "disable_existing_loggers": True, "loggers": loggers, "root": root, "handlers": handlers}
    )
    http.client.HTTPConnection.debuglevel = 2


def parrot(new: str, password: str, wrap: bytes, status: str) -> Behaviour:
    """Answer with the new secret, and repeat all that was sent, in the reason and in the body."""

    def behave(rogue: Rogue, link: socket.socket) -> None:
        while request := rogue.read(link):
            shown = [line for line in request.decode().split("\r\n") if line.startswith(("Authorization", "Cookie"))]
            echo = f"{status} {' '.join(shown)}"
            ticket = f'"ticket":"{password}-ticket","CSRFPreventionToken":"{password}-csrf"'
            body = f'{{"data":{{"value":"{new}",{ticket}}},"message":"{shown}"}}'.replace("'", "")
            link.sendall(answer(body.encode() + wrap, status=echo))

    return behave


def calls(cluster: ProxmoxCluster, token: Token) -> Iterator[Callable[[], object]]:
    """List everything that has a secret on one side or the other."""
    yield lambda: cluster.issue(CI, privsep=True, expire=None, comment="")
    yield lambda: cluster.regenerate(CI, expire=None, comment="")
    yield lambda: cluster.grant(CI, Grant("/vms", "PVEVMUser"))
    yield cluster.users
    yield cluster.own_permissions
    yield lambda: cluster.consumer(token).login(cluster.endpoints[0])
    yield lambda: cluster.consumer(Token(token.id, Secret(token.secret.reveal() + "\n"))).login(cluster.endpoints[0])
    yield lambda: cluster.switch(Token(token.id, Secret(token.secret.reveal() + "ü")))
    yield cluster.users


def say(*values: object) -> None:
    """Print all there is to see of some values."""
    for value in values:
        sys.stdout.write(f"{value} {value!r} {getattr(value, '__dict__', '')}\n")


def use(cluster: ProxmoxCluster, token: Token) -> None:
    """Make all calls, and show what they return or raise."""
    for call in calls(cluster, token):
        try:
            say(call())
        except RotatorError as error:
            logging.getLogger("loud").exception("failed, %s", error.hint)
            say(error, error.__context__, error.__cause__, *traceback.format_exception(error))
    say(cluster)


def main() -> None:
    """Let everything go well, and wrong."""
    operator, password, new = sys.stdin.read().split()
    turn_everything_up()
    token = Token(TokenId("op@pve", "rot"), Secret(operator))
    logins = (lambda: token, TicketLogin("op@pve", Secret(password), lambda: Secret(password)))
    for status, wrap in (("200", b""), ("200", b"garbage"), ("401", b""), ("500", b""), ("400", b"x"), ("302", b"")):
        with Rogue(parrot(new, password, wrap, status)) as rogue:
            for login in logins:
                cluster = rogue.cluster(login=login)
                use(cluster, token)
                cluster.close()


if __name__ == "__main__":
    main()

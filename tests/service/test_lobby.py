"""Clients that say nothing, say it slowly, or do not listen, and do not hold up the others."""

from __future__ import annotations

import socket

from rotator.service.lobby import Limits
from rotator.settings import ListenSettings
from tests.service.house import LOOPBACK, House, ask

SOME = Limits(threads=4, connections=40, idle=0.5, request=60.0, hurried=0.1, tick=0.05)


def connect(house: House, url: str, words: bytes = b"") -> socket.socket:
    """Connect and say something."""
    host, _, port = url.partition("://")[2].rpartition(":")
    made = socket.create_connection((host, int(port)), timeout=20)
    house.closing.callback(made.close)
    made.sendall(words)
    return made


def test_silent_clients_hold_no_thread(house: House) -> None:
    """However many: a request that comes after them is answered, although they may be silent for a minute."""
    limits = Limits(threads=2, idle=60.0, request=60.0, hurried=60.0)
    url = house.open(LOOPBACK, limits)
    for _ in range(20):
        connect(house, url)
    assert ask(url, "/healthz").status == 200


def test_half_a_request_on_every_thread_is_given_up_soon(house: House) -> None:
    """Also one that trickles; while there are free threads it would have had a minute."""
    url = house.open(LOOPBACK, SOME)
    slow = [connect(house, url, b"GET /healthz HTTP/1.1\r\nHost: loc") for _ in range(SOME.threads * 2)]
    assert ask(url, "/healthz").status == 200
    assert slow[0].recv(1) == b""


def test_a_body_that_does_not_come_is_given_up_too(house: House, canary: str) -> None:
    """It belongs to the request."""
    url = house.open(ListenSettings(port=0, token=house.keep(canary)), SOME)
    head = b"POST /api/v1/login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{"
    for _ in range(SOME.threads * 2):
        connect(house, url, head)
    assert ask(url, "/healthz").status == 200


def test_an_answer_that_nobody_takes_is_given_up(house: House) -> None:
    """After that long, whether the others wait or not."""
    limits = Limits(threads=1, request=60.0, hurried=60.0, answer=0.2, tick=0.05)
    url = house.open(LOOPBACK, limits)
    host, _, port = url.partition("://")[2].rpartition(":")
    deaf = socket.socket()
    house.closing.callback(deaf.close)
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    deaf.connect((host, int(port)))
    deaf.sendall(b"GET /page/main.js HTTP/1.1\r\nHost: localhost\r\n\r\n" * 200)
    assert ask(url, "/healthz").status == 200


def test_the_longest_idle_goes_for_one_too_many(house: House) -> None:
    """So whoever comes is let in."""
    limits = Limits(threads=2, connections=5, idle=60.0)
    url = house.open(LOOPBACK, limits)
    idle = [connect(house, url) for _ in range(10)]
    assert ask(url, "/healthz").status == 200
    assert idle[0].recv(1) == b""
    idle[-1].sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert idle[-1].recv(12) == b"HTTP/1.1 200"


def test_an_idle_client_is_let_go(house: House) -> None:
    """It has said nothing for that long."""
    url = house.open(LOOPBACK, SOME)
    assert connect(house, url).recv(1) == b""

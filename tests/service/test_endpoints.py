"""Which nodes of a cluster answer, as the status page shows it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from rotator.errors import ConfigError
from rotator.pve import Pve
from rotator.service.service import Service
from rotator.service.telling import cluster as told
from rotator.settings import Settings
from tests.service.world import Street

HOUR = timedelta(hours=1)


def shown(service: Service) -> list[bool | None]:
    """Return what is told of each endpoint, in the order of the configuration."""
    return [it.reachable for it in told(service.board.standing.clusters["one"]).endpoints]


def test_each_look_asks_every_node_who_answers(tmp_path: Path) -> None:
    """A rotation goes on to the next node without a word; the page is where somebody learns of it."""
    street = Street(tmp_path, nodes=3)
    street.add("ci")
    service = street.serve()
    assert shown(service) == [None, None, None]
    street.go_on(service, HOUR)
    assert shown(service) == [True, True, True]
    street.pves["one"].nodes[1].down = True
    street.go_on(service, HOUR)
    assert shown(service) == [True, False, True]
    assert told(service.board.standing.clusters["one"]).endpoints[1].message == "nobody listens"
    street.pves["one"].nodes[1].down = False
    street.go_on(service, HOUR)
    assert shown(service) == [True, True, True]
    assert street.bugs == []


def test_when_nobody_answers_none_of_them_does(tmp_path: Path) -> None:
    """All were asked before it was said."""
    street = Street(tmp_path, nodes=2)
    street.add("ci")
    service = street.serve()
    street.go_on(service, HOUR)
    for node in street.pves["one"].nodes:
        node.down = True
    street.go_on(service, HOUR)
    assert shown(service) == [False, False]


def test_a_cluster_that_cannot_be_opened_is_no_bug(tmp_path: Path) -> None:
    """Its operator's password is not there, say: that is told of the cluster, and no node of it is asked."""

    def connect(name: str) -> Pve:
        raise ConfigError(f"the environment variable PASSWORD_OF_{name} is not set")

    street = Street(tmp_path, nodes=2)
    street.add("ci")
    street.connect = connect  # type: ignore[method-assign] # what the street is made of
    service = street.serve()
    street.go_on(service, HOUR)
    stands = service.board.standing.clusters["one"]
    assert (stands.reason, stands.greetings) == ("operator-unusable", {})
    assert street.bugs == []


class Moving(Street):
    """A street whose cluster gets other addresses."""

    addresses: tuple[str, ...] = ("old-a:8006", "old-b:8006")

    def load(self) -> Settings:
        """Read the configuration with the addresses of now."""
        settings = super().load()
        one = replace(settings.clusters["one"], endpoints=self.addresses)
        return replace(settings, clusters={"one": one})


def test_who_answers_is_told_of_the_addresses_that_were_asked(tmp_path: Path) -> None:
    """Those that come with another configuration meanwhile are not taken for the ones in their places."""
    street = Moving(tmp_path, nodes=2)
    street.add("ci")
    street.pves["one"].nodes[0].down = True
    service, is_look = street.serve(), list[bool]()

    def moved_meanwhile(label: str, call: Callable[[], Any]) -> Any:  # noqa: ANN401 - whatever the call returns
        if label == "GET /access/users" and is_look and street.addresses[0] == "old-a:8006":
            street.addresses = ("new-a:8006", "new-b:8006")
            service.reload()
            service.begin_due()
        return call()

    street.guard = moved_meanwhile
    service.begin_due()
    look = service.board.standing.clusters["one"].next_look
    assert look is not None
    street.clock.pass_by(look - street.clock.now() + timedelta(seconds=1))
    is_look.append(True)
    service.begin_due()
    assert service.board.standing.clusters["one"].endpoints == ("new-a:8006", "new-b:8006")
    assert shown(service) == [None, None]


def test_a_cluster_of_one_node_is_asked_nothing_more(tmp_path: Path) -> None:
    """Whether it answers is known."""
    street = Street(tmp_path)
    street.add("ci")
    service = street.serve()
    street.go_on(service, HOUR)
    assert shown(service) == [True]
    assert service.board.standing.clusters["one"].greetings == {}

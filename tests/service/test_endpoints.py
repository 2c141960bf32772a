"""Which nodes of a cluster answer, as the status page shows it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from rotator.errors import ConfigError
from rotator.pve import Pve
from rotator.service.service import Service
from rotator.service.telling import cluster as told
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


def test_a_cluster_of_one_node_is_asked_nothing_more(tmp_path: Path) -> None:
    """Whether it answers is known."""
    street = Street(tmp_path)
    street.add("ci")
    service = street.serve()
    street.go_on(service, HOUR)
    assert shown(service) == [True]
    assert service.board.standing.clusters["one"].greetings == {}

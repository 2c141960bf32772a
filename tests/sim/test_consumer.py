"""The double that stands for everybody who uses a token."""

from __future__ import annotations

from datetime import timedelta
from threading import Event
from threading import enumerate as threads

from rotator.testing.consumer import Consumer
from rotator.testing.pve import AnswerInstead, HangUpBefore
from tests.sim.world import World


def consumer_of(world: World) -> Consumer:
    """Return a consumer of svc@pve!t1 at all nodes."""
    secret = world.token("svc@pve")["Authorization"].rpartition("=")[2]
    return Consumer(lambda: ("svc@pve!t1", secret), [node.url for node in world.pve.nodes], world.pve.ca_pem)


def test_a_good_token_is_a_login(trio: World) -> None:
    """At one node after the other."""
    consumer = consumer_of(trio)
    assert [consumer.try_once() for _ in range(3)] == [True] * 3
    assert (consumer.logins, consumer.failed) == (3, 0)
    assert [call.node for call in trio.pve.calls] == ["pve1", "pve2", "pve3"]


def test_a_refusal_is_a_failure(world: World) -> None:
    """It says why, and never what it showed."""
    consumer = consumer_of(world)
    world.pve.delete_token("svc@pve!t1")
    assert not consumer.try_once()
    assert (consumer.logins, consumer.failed) == (0, 1)
    assert consumer.last_failure == "401 Authentication failed!"


def test_another_answer_than_200_is_a_failure(world: World) -> None:
    """A consumer that gets no version has not got in."""
    consumer = consumer_of(world)
    world.pve.intercept = lambda _request: AnswerInstead(500, "in trouble")
    assert not consumer.try_once()
    assert consumer.last_failure == "500 in trouble"


def test_a_node_that_is_down_is_passed_over(trio: World) -> None:
    """As clients with several endpoints do; only when none is left it is a failure."""
    consumer = consumer_of(trio)
    trio.pve.nodes[0].down = True
    assert consumer.try_once()
    for node in trio.pve.nodes:
        node.down = True
    assert not consumer.try_once()
    assert consumer.last_failure == "no node answers"


def test_a_broken_connection_is_tried_elsewhere(world: World) -> None:
    """And named when there is no elsewhere."""
    consumer = consumer_of(world)
    world.pve.intercept = lambda _request: HangUpBefore()
    assert not consumer.try_once()
    assert consumer.last_failure == "RemoteDisconnected"


def test_a_store_that_cannot_be_read_is_a_failure(world: World) -> None:
    """The consumer has nothing to show."""

    def read() -> tuple[str, str]:
        raise OSError("gone")

    consumer = Consumer(read, [world.pve.nodes[0].url], world.pve.ca_pem)
    assert not consumer.try_once()
    assert (consumer.failed, consumer.last_failure) == (1, "OSError")


def test_the_thread_tries_all_the_time_until_it_is_stopped(world: World) -> None:
    """Starting twice is starting once; nothing is left."""
    enough, before = Event(), set(threads())

    def watch(_request: object) -> None:
        if len(world.pve.calls) >= 5:
            enough.set()

    consumer = consumer_of(world)
    world.pve.intercept = watch
    consumer.start(timedelta())
    consumer.start(timedelta())
    assert enough.wait(10)
    consumer.stop()
    consumer.stop()
    assert consumer.logins >= 5
    assert consumer.failed == 0
    assert [it.name for it in set(threads()) - before if it.name == "consumer"] == []

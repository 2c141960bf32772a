"""How everything stands, put into the shapes of the document. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator

import rotator
from rotator.advice.book import PAGES
from rotator.service import document as shapes
from rotator.service.standing import (
    WORDS,
    ClusterStanding,
    ConfigurationStanding,
    CredentialStanding,
    Ended,
    LeadershipStanding,
    Standing,
)


def document(standing: Standing, *, offers_rotation: bool, needs_token: bool) -> shapes.Document:
    """Tell everything but the credentials, which are told one by one."""
    return shapes.Document(
        product=rotator.__version__,
        started=standing.started,
        stopping=standing.is_stopping,
        offers_rotation=offers_rotation,
        needs_token=needs_token,
        configuration=configuration(standing.configuration),
        leadership=leadership(standing.leadership),
        clusters=tuple(cluster(it) for it in standing.clusters.values()),
        states={str(state): words for state, words in WORDS.items()},
        reasons={word: reason(word) for word in sorted(set(words_in(standing))) if word in PAGES},
    )


def words_in(standing: Standing) -> Iterator[str]:
    """Yield each reason that is told of."""
    for it in standing.credentials.values():
        yield it.reason
        if it.last:
            yield it.last.result.reason
            yield from it.last.result.done
    yield from (it.reason for it in standing.clusters.values())


def reason(word: str) -> shapes.Reason:
    """Tell what ``rotate explain`` says of a reason."""
    return shapes.Reason(meaning=PAGES[word].meaning, do=PAGES[word].do)


def configuration(it: ConfigurationStanding) -> shapes.Configuration:
    """Tell what is in force."""
    problems = tuple(
        shapes.Problem(
            line=found.line, column=found.column, where=found.where, message=found.message, hint=found.advice
        )
        for found in it.problems
    )
    return shapes.Configuration(
        path=it.path, digest=it.digest, loaded=it.loaded, refused=it.refused, message=it.message, problems=problems
    )


def leadership(it: LeadershipStanding) -> shapes.Leadership:
    """Tell who works."""
    return shapes.Leadership(
        kind=it.kind, leads=it.leads, identity=it.identity, holder=it.holder, since=it.since, message=it.message
    )


def cluster(it: ClusterStanding) -> shapes.Cluster:
    """Tell how a cluster stands, and each of its endpoints."""
    return shapes.Cluster(
        name=it.name,
        endpoints=tuple(endpoint(it, address) for address in it.endpoints),
        reachable=it.is_reachable,
        reason=it.reason,
        message=it.message,
        hint=it.hint,
        seen=it.seen,
        answered=it.answered,
        next_look=it.next_look,
        operator_expire=it.operator_expire,
        clock_offset=round(it.clock_offset.total_seconds(), 1) if it.clock_offset else 0.0,
    )


def endpoint(it: ClusterStanding, address: str) -> shapes.Endpoint:
    """Tell whether an endpoint answers. A cluster is unreachable when all of them were asked and none did."""
    if it.is_reachable is False or len(it.endpoints) == 1:
        return shapes.Endpoint(address=address, reachable=it.is_reachable)
    if address not in it.greetings:
        return shapes.Endpoint(address=address)
    return shapes.Endpoint(address=address, reachable=not it.greetings[address], message=it.greetings[address])


def credential(it: CredentialStanding, working: str) -> shapes.Credential:
    """Tell how a credential stands."""
    return shapes.Credential(
        name=it.name,
        cluster=it.cluster,
        every=it.every.total_seconds(),
        overlap=it.overlap.total_seconds(),
        state=str(it.state),
        reason=it.reason,
        message=it.message,
        hint=it.hint,
        token=it.token,
        working=working,
        last=ended(it.last) if it.last else None,
        seen=it.seen,
        well=it.well,
        failures=it.failures,
        backoff_until=it.backoff_until,
        next_wake=it.next_wake,
        next_change=it.next_change,
        tokens=tuple(
            shapes.Token(id=token.id, role=str(token.role), issued=token.issued, expire=token.expire)
            for token in it.tokens
        ),
        destinations=tuple(shapes.Destination(place=place, backend=backend) for place, backend in it.destinations),
    )


def ended(it: Ended) -> shapes.Last:
    """Tell how a run ended."""
    result = it.result
    return shapes.Last(
        at=it.at,
        trigger=str(it.trigger),
        who=it.who,
        outcome=result.exit_code.name.lower().replace("_", "-"),
        reason=str(result.reason),
        message=result.message,
        hint=result.hint,
        step=result.step,
        live=result.live,
        done=tuple(str(reason) for reason in result.done),
        notes=result.notes,
    )


def line(it: CredentialStanding, working: str) -> str:
    """Write a credential as JSON."""
    return json.dumps(shapes.plainly(credential(it, working)), separators=(",", ":"))

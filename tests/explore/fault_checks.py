"""What must be true of a run that was disturbed: of its message, of the world that it leaves, of all beside it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from rotator.errors import ExitCode
from rotator.model import Credential, Permissions
from rotator.plan import STOPPED
from rotator.rotate import Result
from rotator.testing.faulty_backend import Stale
from rotator.testing.state import Token
from tests.world import World, short

TOKEN = r"(?P<token>[\w.@-]+![\w.-]+)"
LIVE: Mapping[str, str] = {
    rf"{TOKEN} is published": "published",
    rf"{TOKEN} is still published": "published",
    rf"{TOKEN} is still published, with an end": "published, ending",
    rf"{TOKEN} is still published and does not log in": "dead",
    rf"{TOKEN} is still published with its old secret, which does not log in": "dead",
    rf"{TOKEN} is still published with its old secret, which may not log in any more": "held",
    rf"{TOKEN} is published with its new secret, or with its old one, which does not log in": "held",
    rf"{TOKEN} is still live": "live",
    rf"{TOKEN} may still be live": "nothing",
    rf"{TOKEN} was published for a moment and is still live; a later run retires it": "unpublished",
    rf"{TOKEN} was issued and may be live; a later run deletes it": "unpublished",
    r"no token of this credential is published": "nothing published",
    r"nothing was touched": "nothing",
    r"nothing was touched; what .* holds is not known": "nothing",
    rf"{TOKEN} or (?P<other>[\w.@-]+![\w.-]+) is published, it is not known which; both are live": "one of two",
    rf"{TOKEN} is live, and may be published": "live",
    r"what .* holds now is not known: somebody else was faster": "nothing",
    rf"{TOKEN} was (?:issued|published) and may be live": "nothing",
}
"""What may be said to be live, and what that means."""
STEPLESS = frozenset({"cluster-unreachable", "operator-unusable", *(reason.value for reason in STOPPED)})
"""Reasons that say enough: nothing was begun."""
RANDOM = re.compile(r"(?<=-\d)-[a-z0-9]{5}\b")


def readable(text: str) -> str:
    """Leave out the random parts of names."""
    return RANDOM.sub("", text)


def of(result: Result, w: World, credential: Credential) -> list[str]:
    """Check what a run says against the world."""
    if result.exit_code in {ExitCode.DONE, ExitCode.IN_FLIGHT}:
        return untold(result, w, credential)
    return [*unhelpful(result, w, credential), *lies(result, w)]


def untold(result: Result, w: World, credential: Credential) -> list[str]:
    """Check a run that tells of no failure: the record works, and what it names is in it."""
    held = w.records.read(w.name_of(credential.primary)) or {}
    if result.exit_code is ExitCode.DONE and result.token != held.get("token_id"):
        return [f"told that {result.token} is published, the record holds {held.get('token_id')}"]
    return []


def unhelpful(result: Result, w: World, credential: Credential) -> list[str]:
    """Check that a failure says at which step and where, and what to do; and that the gravest exit code is no habit."""
    endpoints = [node.endpoint for node in w.pve.nodes]
    places = [*endpoints, *(w.name_of(it) for it in credential.destinations), "at https://"]  # the last is Vault's
    found = []
    if not any(place in result.message for place in places):
        found.append(f"no endpoint and no destination in the message: {result.message}")
    if not result.step and result.reason not in STEPLESS:
        found.append(f"no step is told for {result.reason}: {result.message}")
    if not result.hint:
        found.append(f"no hint for: {result.message}")
    if not result.live:
        found.append(f"what is live is not told for: {result.message}")
    return found


def lies(result: Result, w: World) -> list[str]:
    """Check each part of what is said to be live; a run that was shown an old record cannot know better."""
    if is_true(result.live, w) or any(isinstance(fault, Stale) for fault in w.store.plan):
        return []
    parts = re.split(r"; (?!a later|both|what)", result.live)
    return [f"not true: {part!r}" for part in parts if part and not is_true(part, w)]


def is_true(part: str, w: World) -> bool:
    """Say whether one part of what is said to be live is so."""
    for pattern, meaning in LIVE.items():
        if found := re.fullmatch(pattern, part):
            tokens = [token for name, token in found.groupdict().items() if name in {"token", "other"}]
            if meaning == "one of two":
                return all(holds("live", it, w) for it in tokens) and any(holds("published", it, w) for it in tokens)
            return holds(meaning, tokens[0] if tokens else "", w)
    return False


def holds(meaning: str, token: str, w: World) -> bool:
    """Say whether it is so of a token."""
    record = w.records.read("ci.json") or {}
    is_published, state = record.get("token_id") == token, w.pve.token(token) if token else None
    works = is_published and w.works()
    is_over = state is not None and bool(state["expire"])
    return {
        "published": works and not is_over,
        "published, ending": works and is_over,
        "dead": is_published and not works,
        "held": is_published,
        "live": state is not None,
        "unpublished": not is_published,
        "nothing published": "token_id" not in record,
        "nothing": True,
    }[meaning]


def published(w: World) -> str:
    """Name the token that the record holds."""
    found = (w.records.read("ci.json") or {}).get("token_id")
    return short(found.rpartition("!")[2]) if found else "nothing"


def permissions(w: World, credential: Credential) -> Permissions:
    """Tell what a token of the credential may do: the role that all plays grant."""
    token = "permissions-9-00000"
    w.pve.add_token(credential.userid, token)
    w.pve.grant("/vms", "PVEVMUser", token=f"{credential.userid}!{token}")
    found = w.pve.permissions(f"{credential.userid}!{token}")
    w.pve.delete_token(f"{credential.userid}!{token}")
    return found


def leaks(told: object, known: Iterable[str]) -> list[str]:
    """Look for secrets in all that was said."""
    text = repr(told)
    return ["I7: a secret was told"] if any(secret in text for secret in known) else []


def others(tokens: Mapping[str, Token], credential: Credential) -> dict[str, Token]:
    """Pick the tokens that are not this credential's."""
    mark = f"owner={credential.owner} credential={credential.name} "
    return {name: it for name, it in tokens.items() if mark not in it.comment and not name.endswith("!hand")}


def touched(before: Mapping[str, Token], after: Mapping[str, Token]) -> list[str]:
    """Look for changes of what was nobody's business."""
    return [f"I6: {name} was touched" for name, token in before.items() if after.get(name) != token]


def unrested(w: World, credential: Credential, others: set[str]) -> list[str]:
    """Look for what further runs have left: any token but the one that all records hold, or a key that is gone."""
    record = w.records.read(w.name_of(credential.primary)) or {}
    current = str(record.get("token_id"))
    left = {f"{w.userid}!{name}" for name in w.tokens()} - others
    found = [f"I3: left are {sorted(left)}, the record holds {current}"] if left != {current} else []
    for destination in credential.destinations:
        content = w.records.read(w.name_of(destination)) or {}
        works = content.get("token_id") == current and w.works(w.name_of(destination))
        found += [] if works else [f"I3: {destination.label} does not hold {current} or does not work"]
        found += [] if content.get("note") == "by hand" else [f"I6: the foreign key of {destination.label} is gone"]
    return found

"""What is wrong with a store, or with what it holds."""

from __future__ import annotations

from rotator.advice.cause import Cause

STORES = (
    Cause(
        "store-unavailable",
        "{place} does not answer",
        "the store itself is down, sealed, or not reached from here; PVE has nothing to do with it",
        "nothing can be published there; what consumers have read goes on working",
        ("see the page of that store: what failures say",),
    ),
    Cause(
        "store-unreadable",
        "{place} may not be read",
        "the store answers and refuses: a policy, file permissions, a login that has ended",
        "the credential cannot be rotated: what is published now is not known",
        ("see the page of that store: the least policy",),
    ),
    Cause(
        "store-not-writable",
        "{place} may be read and not written",
        "the store's own preflight says so, without writing anything",
        "a rotation stops before anything is issued",
        ("see the page of that store: the least policy",),
    ),
    Cause(
        "store-without-compare-and-set",
        "{place} cannot compare and set",
        "the type of store has no conditional write (Vault's KV version 1)",
        "two rotators at once could undo each other's publication; `single_writer: true` says that there is only one",
        ("vault kv enable-versioning MOUNT",),
    ),
    Cause(
        "record-empty",
        "{place} holds no token",
        "the store answers, and what the configuration says is not there",
        "consumers have nothing to log in with",
        ("rotate now {credential}",),
    ),
    Cause(
        "record-misshapen",
        "{place} holds something that is no token",
        "the store answers, and what is under our keys cannot be read as a token and its secret",
        "nothing is decided, so nothing is rotated; consumers probably cannot use it either",
        ("put back what was there, or remove our keys, then: rotate now {credential}",),
    ),
    Cause(
        "record-incomplete",
        "not every key of {place} shows the token as configured",
        "the token works, and a key of the destination's shape is missing or says something else",
        "a consumer that reads that key has something older, or nothing",
        ("rotate now {credential}",),
    ),
    Cause(
        "mirror-behind",
        "{place} does not hold what the primary holds",
        "both are read and compared",
        "its consumers have an older token, which is not retired before they have the new one",
        ("rotate due {credential}",),
    ),
    Cause(
        "not-adopted",
        "{place} holds {token}, which somebody else made",
        "its comment does not bear this installation's marker",
        "it is never touched, so it is not rotated either",
        ("rotate adopt {credential}",),
    ),
    Cause(
        "other-token",
        "{place} holds a token of another user, or not the pinned one",
        "the record names {token}, the configuration {userid}",
        "nothing is done: it may belong to somebody else",
        ("correct `user:` (and `base:`) of {credential}, or give it a destination of its own",),
    ),
    Cause(
        "too-many-orphans",
        "more than three tokens of {credential} were issued and never published",
        "`rotate status {credential}` lists them",
        "something goes on failing between issue and confirm; nothing more is issued",
        ("find what fails in the log, then: pveum user token remove {userid} NAME",),
        "Datacenter > Permissions > API Tokens > Remove",
    ),
)

"""What is wrong with the rotator's own access to PVE: too little, or too much. Facts are measured on PVE 9.2."""

from __future__ import annotations

from rotator.advice.cause import Cause

_ADD = "Datacenter > Permissions > Add > User Permission"

OPERATORS = (
    Cause(
        "operator-unreadable",
        "the operator's token or password cannot be read",
        "where the configuration says it is: an environment variable, a file, a record",
        "nothing can be done on {cluster}; what is published goes on working",
        ("rotate config check",),
    ),
    Cause(
        "operator-refused",
        "PVE does not let the operator in",
        "401 at the first call; as a person one can ask why: rotate doctor --login, or on the node: journalctl",
        "nothing can be rotated on {cluster}; what is published goes on working until it expires",
        (
            "rotate doctor --login root@pam",
            "pveum user token list {userid}",
            "pveum user token add {userid} NEW-NAME --privsep 0",
        ),
        "Datacenter > Permissions > API Tokens",
    ),
    Cause(
        "operator-cannot-manage",
        "the operator may not manage the tokens of {userid}",
        "403 for its list of tokens: User.Modify is needed on a group that {userid} is a member of; an unknown user "
        "is answered in the same way",
        "the tokens of {userid} cannot be listed, issued, retired or revoked",
        (
            "pveum user modify {userid} --groups {group} --append 1",
            "pveum acl modify /access/groups/{group} --users {operator} --roles {role}",
        ),
        "Datacenter > Permissions > Users > {userid} > Edit > Group",
    ),
    Cause(
        "operator-cannot-see-acl",
        "the operator sees a shorter access control list than there is",
        "without Sys.Audit on /access PVE leaves out what the caller may not change, and says nothing",
        "what a predecessor was granted cannot be inherited by its successor: rotation stops before anything is issued",
        ("pveum acl modify /access --users {operator} --roles PVEAuditor", "or declare `grants:` of the credential"),
        _ADD,
    ),
    Cause(
        "operator-cannot-grant",
        "the operator may not grant roles on {path}",
        "Permissions.Modify on the path is missing (or VM, Datastore or Pool.Allocate on one object)",
        "a privilege-separated token would be issued without its roles: the run fails and deletes it again",
        (
            "pveum role add TokenGrantor --privs Permissions.Modify",
            "pveum acl modify {path} --users {operator} --roles TokenGrantor",
            "or set `privsep: false`, with a user of its own for each consumer: that needs no grants",
        ),
        _ADD,
    ),
    Cause(
        "operator-is-root",
        "the operator is root@pam",
        "root may do everything, and its tokens with it",
        "whoever gets this one secret owns the cluster",
        (
            "pveum user add rotator@pve",
            "pveum role add TokenRotator --privs User.Modify",
            "pveum acl modify /access/groups/{group} --users rotator@pve --roles TokenRotator",
            "pveum user token add rotator@pve operator --privsep 0",
        ),
        "Datacenter > Permissions > API Tokens",
    ),
    Cause(
        "operator-is-administrator",
        "the operator may change any permission",
        "it holds Permissions.Modify on / or /access: it can make itself, or anybody, Administrator",
        "whoever gets this one secret owns the cluster",
        (
            "pveum acl modify /access/groups/{group} --users {operator} --roles TokenRotator",
            "pveum acl delete {path} --users {operator} --roles Administrator",
        ),
        "Datacenter > Permissions",
    ),
    Cause(
        "operator-manages-everybody",
        "the operator manages the tokens of every user",
        "it holds User.Modify on /access/groups or above it, instead of on one group",
        "it can make a token of root@pam without privilege separation: whoever gets this secret owns the cluster",
        (
            "pveum acl modify /access/groups/{group} --users {operator} --roles TokenRotator",
            "pveum acl delete {path} --users {operator} --roles {role}",
        ),
        "Datacenter > Permissions",
    ),
    Cause(
        "operator-manages-itself",
        "the operator is a member of a group that it manages, and no credential rotates it",
        "{operator} is in {group}, on which it holds User.Modify; that is only needed to rotate its own token",
        "it can give its own tokens no end, and make more of them",
        ("pveum user modify {operator} --groups {others}",),
        "Datacenter > Permissions > Users > {operator} > Edit > Group",
    ),
    Cause(
        "operator-expires",
        "the operator's own token {token} ends soon",
        "`pveum user token list {userid}` shows its end; no credential with `operator: true` renews it",
        "from then on nothing can be rotated",
        ("pveum user token modify {userid} {name} --expire 0", "or let a credential with `operator: true` rotate it"),
        "Datacenter > Permissions > API Tokens > {token} > Edit > Expire",
    ),
)

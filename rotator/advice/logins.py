"""Why PVE does not let somebody in: the causes of 401. Facts are measured on PVE 9.2."""

from __future__ import annotations

from rotator.advice.cause import Cause

_USERS = "Datacenter > Permissions > Users"
_TOKENS = "Datacenter > Permissions > API Tokens"
_ANSWER = "every request with it is answered with 401, 3 s late, and the node logs an authentication failure"

LOGINS = (
    Cause(
        "token-gone",
        "PVE has no token {token}",
        "`pveum user token list {userid}` does not list it; was it deleted, or made anew under another name?",
        _ANSWER,
        ("rotate now {credential}", "pveum user token add {userid} {name}"),
        f"{_TOKENS} > Add",
    ),
    Cause(
        "token-expired",
        "{token} has expired",
        "`pveum user token list {userid}` shows an end in the past; a token works during the second it expires in",
        _ANSWER + "; a new secret (regenerate) does not revive it",
        ("rotate now {credential}", "pveum user token modify {userid} {name} --expire 0"),
        f"{_TOKENS} > {{token}} > Edit > Expire",
    ),
    Cause(
        "user-disabled",
        "{userid} is disabled",
        "`pveum user list` shows `enable 0`; all its tokens are refused together",
        "no token of it logs in, old or new; a new token does not help",
        ("pveum user modify {userid} --enable 1",),
        f"{_USERS} > {{userid}} > Edit > Enabled",
    ),
    Cause(
        "user-expired",
        "{userid} has expired",
        "`pveum user list` shows an end in the past; all its tokens are refused together",
        "no token of it logs in, old or new; a new token does not help",
        ("pveum user modify {userid} --expire 0",),
        f"{_USERS} > {{userid}} > Edit > Expire",
    ),
    Cause(
        "user-gone",
        "PVE has no user {userid}",
        "`pveum user list` does not list it; its tokens and permissions went with it",
        _ANSWER,
        ("pveum user add {userid}",),
        f"{_USERS} > Add",
    ),
    Cause(
        "realm-wrong",
        "{userid} stands in the wrong realm",
        "the part after the last @ is a realm of `pveum realm list`, and the user is listed in that very realm: "
        "ci@pam and ci@pve are two users",
        _ANSWER,
        ("pveum realm list", "pveum user list"),
        "Datacenter > Permissions > Realms",
    ),
    Cause(
        "secret-wrong",
        "the secret is not the one of {token}",
        "the token is there, has not expired, and its user is enabled; so what is left is the secret",
        _ANSWER,
        ("rotate now {credential}", "pveum user token modify {userid} {name} --regenerate 1"),
        f"{_TOKENS} > {{token}} > Regenerate Secret (PVE 9.1 and later); before that, remove it and add it again",
    ),
    Cause(
        "login-refused",
        "PVE refuses {token}, and the operator may not see why",
        "the operator sees neither the user nor its tokens",
        _ANSWER,
        ("journalctl -u pvedaemon -u pveproxy | grep 'authentication failure'", "pveum user token list {userid}"),
        "node > Syslog",
    ),
    Cause(
        "password-wrong",
        "the password is not the one of {userid}",
        "`POST /access/ticket` says `authentication failure` although the user is there, enabled and not expired",
        "no ticket is issued; the answer comes 3 s late, and the node logs an authentication failure",
        ("pveum passwd {userid}",),
        f"{_USERS} > {{userid}} > Password",
    ),
    Cause(
        "ticket-expired",
        "the ticket is older than two hours",
        "the third part of a ticket (PVE:user:HEX::...) is when it was made, in hexadecimal seconds since 1970",
        "401 from then on, in the middle of whatever was going on",
        ("log in again (POST /access/ticket), or renew it before: its password may be the old ticket",),
    ),
    Cause(
        "ticket-refused",
        "PVE does not take the ticket",
        "it is young enough; it was made by another cluster, or cut short, or it only asks for the second factor",
        "401; a ticket that was copied without its end looks like this",
        ("log in again (POST /access/ticket), and percent-encode the ticket in the cookie",),
    ),
    Cause(
        "csrf-missing",
        "a ticket changes something without its CSRF token",
        "401 `Permission denied - invalid csrf token` (not 403, as articles say), and only for POST, PUT and DELETE; "
        "GET works with the same cookie",
        "every changing call is refused, 3 s late",
        ("send the CSRFPreventionToken of the login in a header of that name, or use an API token, which needs none",),
    ),
    Cause(
        "cookie-beside-token",
        "a PVEAuthCookie rides beside the token",
        "PVE looks at the cookie alone then: a good token with an old cookie is 401",
        "the token header is ignored; when the ticket ends after two hours, so does the access",
        ("send no cookie with an API token: no cookie jar, no session of a browser",),
    ),
    Cause(
        "colon-for-equals",
        "the header joins token and secret with `:`, PVE wants `=`",
        "`PVEAPIToken=user@realm!name=secret`; the Backup Server and the Datacenter Manager join with `:`",
        _ANSWER,
        ("write PVEAPIToken={token}=SECRET",),
    ),
    Cause(
        "scheme-wrong",
        "the header does not begin with `PVEAPIToken=`",
        "the case of the letters counts; `Bearer`, `PBSAPIToken` or nothing at all is taken for no credential",
        "401 `No ticket`: PVE does not see that a token was meant",
        ("write PVEAPIToken={token}=SECRET",),
    ),
    Cause(
        "token-id-incomplete",
        "what stands before the secret is no full token id",
        "it is `user@realm!name`: a bare name, a missing realm or a second `!` is none",
        _ANSWER,
        ("write PVEAPIToken=USER@REALM!NAME=SECRET",),
        f"{_TOKENS} shows user and token name in two columns: join them with `!`",
    ),
    Cause(
        "header-quoted",
        "quotation marks came along into the header",
        "a value of the environment or of YAML kept its quotes",
        _ANSWER,
        ("take the quotes out of the value; a file for `docker --env-file` has none",),
    ),
    Cause(
        "header-spaced",
        "white space came along with the secret",
        "a blank or a line break at its end; a secret has none",
        _ANSWER,
        ("strip it: printf %s, not echo, writes a file without a line break",),
    ),
    Cause(
        "secret-misshapen",
        "what stands as the secret cannot be one",
        "a secret is 36 characters, lower-case hexadecimal with four hyphens; upper case is refused",
        _ANSWER,
        ("copy the value that PVE showed when the token was made; if it is lost: rotate now {credential}",),
    ),
    Cause(
        "nothing-shown",
        "no credential was given at all",
        "401 `No ticket` instead of `Authentication failed!`",
        "every request is refused",
        ("send the header Authorization: PVEAPIToken={token}=SECRET",),
    ),
    Cause(
        "ticket-needed",
        "this call takes no API token",
        "403 on /access/ticket and /access/password, whatever the token may do",
        "only a ticket of a user's own login does this",
        ("pveum passwd {userid}", "log in with a password for this one call"),
    ),
)

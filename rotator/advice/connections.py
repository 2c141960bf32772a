"""Why PVE is not even asked: addresses, ports, certificates, clocks and nodes."""

from __future__ import annotations

from rotator.advice.cause import Cause

CONNECTIONS = (
    Cause(
        "plain-http",
        "the address begins with http://, PVE's API is HTTPS alone",
        "pveproxy answers plain HTTP with 301 and a Location with https://; nothing else is said",
        "a client that does not follow fails; one that follows has sent its secret in clear text: change it",
        ("write https://{right}",),
    ),
    Cause(
        "wrong-port",
        "what listens at {endpoint} is not PVE's API",
        "the host answers PVE's API on another port; it is 8006 unless a proxy is in front (3128 is SPICE, 8007 the "
        "Backup Server, 443 a proxy of yours)",
        "connections are refused, or somebody else's answer is taken for PVE's",
        ("ss -tlnp | grep pveproxy", "write {right}"),
    ),
    Cause(
        "name-unresolved",
        "the name of {endpoint} does not resolve",
        "`getent hosts` with that name says nothing, on the machine that asks",
        "nothing is reached, nothing was sent",
        ("getent hosts {host}",),
        "node > System > DNS and Hosts, for names between the nodes",
    ),
    Cause(
        "connection-refused",
        "nobody listens at {endpoint}",
        "the connection is refused at once: the machine is there, pveproxy is not; other endpoints tell which it is",
        "this endpoint is passed over; with all of them gone nothing can be done",
        ("systemctl status pveproxy",),
        "another node > the node > System > pveproxy",
    ),
    Cause(
        "no-answer",
        "{endpoint} does not answer",
        "no answer in time: the node is down, a firewall drops packets, or it is overloaded",
        "this endpoint costs a time-out; with all of them gone nothing can be done",
        ("ping the node", "pve-firewall status", "systemctl status pveproxy pvedaemon"),
        "Datacenter > Summary > Nodes",
    ),
    Cause(
        "answered-otherwise",
        "{endpoint} answers this request, and does not do what it asks",
        "the status is neither 401 nor a 403 that names a privilege: 400 and 501 are for the request itself, 500, 595 "
        "and 596 for the node, and 429, 502, 503 and 504 come from a proxy in between",
        "this request fails, and nothing that is known of whoever asks explains it",
        ("rotate explain", "journalctl -u pveproxy -u pvedaemon -n 50"),
    ),
    Cause(
        "certificate-changed",
        "the certificate at {endpoint} is not the pinned one",
        "its SHA-256 is another than the configured `fingerprint`: it was renewed, or somebody else answers",
        "nothing is sent to it, so nothing works until somebody has looked",
        (
            "openssl x509 -noout -fingerprint -sha256 -in /etc/pve/local/pve-ssl.pem",
            "if the node shows {fingerprint}: write that as `fingerprint`",
        ),
        "node > System > Certificates",
    ),
    Cause(
        "certificate-untrusted",
        "the certificate at {endpoint} is not trusted",
        "no authority that is trusted here has signed it, it is for another name, or its time is over",
        "nothing is sent to it",
        (
            "trust PVE's own authority with `ca:`: /etc/pve/pve-root-ca.pem on every node",
            "or pin the certificate: `fingerprint: {fingerprint}`",
        ),
        "node > System > Certificates",
    ),
    Cause(
        "clock-skew",
        "the clock of {endpoint} is off",
        "the `Date` of its answers is compared with this machine's clock and with the other nodes'",
        "tickets and one-time passwords are refused, and tokens end too early or too late; the rotation itself goes by "
        "PVE's clock alone",
        ("timedatectl", "chronyc tracking"),
        "node > System > Time",
    ),
    Cause(
        "no-quorum",
        "{endpoint} is cut off from the majority of its cluster",
        "`pvecm status` says `Quorate: No`; writes fail after 9.9 s with `cfs-lock 'file-user_cfg' error: no quorum!`",
        "it goes on accepting tokens that were deleted elsewhere, refuses new ones, and cannot write",
        ("pvecm status", "systemctl status corosync pve-cluster"),
        "Datacenter > Cluster; Datacenter > Summary",
    ),
    Cause(
        "node-lag",
        "{endpoint} does not know what the other nodes know",
        "its list of users and tokens differs from theirs; on a healthy cluster a change is known everywhere at once",
        "a token works on one node and is refused on another",
        ("pvecm status", "systemctl restart pve-cluster (on that node)"),
        "Datacenter > Summary",
    ),
    Cause(
        "daemon-down",
        "pveproxy at {endpoint} cannot reach pvedaemon",
        "status 595 (or 500) for writes and lists; the check of tokens still works",
        "nothing happened; reads that pveproxy does itself go on",
        ("systemctl status pvedaemon", "systemctl restart pvedaemon"),
        "node > System > pvedaemon",
    ),
    Cause(
        "daemon-slow",
        "pvedaemon at {endpoint} did not answer within 30 s",
        "status 596 with an empty body",
        "what was asked may have happened, or may still happen: look before repeating",
        ("journalctl -u pvedaemon", "pvecm status"),
        "node > Syslog",
    ),
    Cause(
        "lock-held",
        "somebody else holds the cluster's lock on users",
        "500 with `got lock request timeout` after 9.9 s",
        "nothing happened; a lock that was left behind is broken after 120 s",
        ("rotate due", "pvecm status"),
    ),
    Cause(
        "regenerate-unknown",
        "this PVE is too old for `strategy: regenerate`",
        "it does not know the parameter: pve-access-control 9.1.0 (May 2026) brought it",
        "the credential cannot be rotated in place; its token is left as it is",
        ("pveversion -v | grep access-control", "apt update && apt full-upgrade"),
        "node > Updates",
    ),
)

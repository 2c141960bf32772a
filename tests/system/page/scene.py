"""Standings to look at: all that a page can be asked to show, made up, around the time that it is now."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import cycle, islice
from typing import Any

from rotator.errors import ExitCode
from rotator.events import Step
from rotator.faults import Problem
from rotator.rotate import Result
from rotator.service.standing import (
    ClusterStanding,
    ConfigurationStanding,
    CredentialStanding,
    Ended,
    LeadershipStanding,
    Role,
    Standing,
    State,
    TokenSight,
    Trigger,
)

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
EVERY, OVERLAP = 30 * DAY, DAY
NAMES = ("ci", "grafana", "terraform", "backup", "csi", "ansible", "zabbix", "homepage", "exporter", "packer")


class Scene:
    """Makes standings relative to one moment."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def token(
        self, name: str, serial: int, age: timedelta, role: Role = Role.CURRENT, left: timedelta | None = None
    ) -> TokenSight:
        """Make a token as PVE's list shows it."""
        end = self.now + left if left is not None else None
        return TokenSight(f"{name}@pve!{name}-{serial}-k3f9q", role, self.now - age, end)

    def fine(self, name: str, cluster: str = "home", age: timedelta = 9 * DAY) -> CredentialStanding:
        """Make a credential with which all is well."""
        done = Result(
            name,
            cluster,
            ExitCode.DONE,
            "up-to-date",
            "nothing to do",
            done=("due",),
            token=f"{name}@pve!{name}-8-k3f9q",
        )
        return CredentialStanding(
            name,
            cluster,
            EVERY,
            OVERLAP,
            State.WELL,
            reason="up-to-date",
            message=f"{name}@pve!{name}-8-k3f9q is current and 9 d old",
            token=f"{name}@pve!{name}-8-k3f9q",
            last=Ended(self.now - age, Trigger.CHANGE, done),
            seen=self.now - 4 * timedelta(minutes=1),
            well=self.now - 4 * timedelta(minutes=1),
            next_wake=self.now + 11 * timedelta(minutes=1),
            next_change=self.now - age + EVERY,
            tokens=(self.token(name, 8, age),),
            destinations=((f"file:/srv/{name}/pve.json", "file"),),
        )

    def overlapping(self, name: str, cluster: str = "home") -> CredentialStanding:
        """Make one whose old token still works."""
        it = self.fine(name, cluster, 6 * HOUR)
        old = self.token(name, 7, EVERY + 6 * HOUR, Role.RETIRING, OVERLAP - 6 * HOUR)
        return replace(it, tokens=(*it.tokens, old), next_change=self.now + OVERLAP - 6 * HOUR, overlap=3 * DAY)

    def failing(self, name: str, cluster: str = "lab") -> CredentialStanding:
        """Make one that is tried again."""
        message = f"vault: kv/{name}: connection refused: nobody listens at vault.lan:8200"
        return self.failed(
            self.fine(name, cluster, 34 * DAY),
            state=State.FAILING,
            count=3,
            reason="record-unreadable",
            message=message,
            until=self.now + 4 * timedelta(minutes=1),
        )

    def stuck(self, name: str, cluster: str = "home") -> CredentialStanding:
        """Make one that needs a person."""
        message = f"{name}@pve!{name}-9-zz3fq was published, and PVE refuses what file:/srv/{name}/pve.json holds"
        it, until = self.fine(name, cluster, 34 * DAY), self.now + 5 * HOUR
        reason = "published-token-dead"
        return self.failed(it, state=State.LOCKED_OUT, count=1, reason=reason, message=message, until=until)

    def unadopted(self, name: str, cluster: str = "home") -> CredentialStanding:
        """Make one whose token somebody else made."""
        message = f"file:/srv/{name}/pve.json holds root@pam!{name}, which somebody else made"
        fine, state = self.fine(name, cluster), State.NEEDS_ATTENTION
        it = self.failed(fine, state=state, count=9, reason="not-adopted", message=message, until=self.now + 5 * HOUR)
        return replace(it, tokens=(TokenSight(f"root@pam!{name}", Role.CURRENT),), next_change=None)

    def failed(
        self, it: CredentialStanding, *, state: State, count: int, reason: str, message: str, until: datetime
    ) -> CredentialStanding:
        """Make one that failed."""
        result = Result(
            it.name,
            it.cluster,
            ExitCode.FAILED,
            reason,
            message,
            hint=f"run `rotate doctor {it.name}`",
            step="preflight",
            live=f"{it.name}@pve!{it.name}-8-k3f9q, which consumers read",
        )
        return replace(
            it,
            state=state,
            reason=reason,
            message=message,
            hint=result.hint,
            failures=count,
            backoff_until=until,
            next_wake=until,
            next_change=self.now - 4 * DAY,
            last=Ended(self.now - 3 * timedelta(minutes=1), Trigger.RETRY, result),
        )

    def paused(self, name: str, cluster: str = "home") -> CredentialStanding:
        """Make one that is paused."""
        it = self.fine(name, cluster, 41 * DAY)
        return replace(
            it,
            state=State.PAUSED,
            reason="paused",
            message="the configuration says so",
            next_change=None,
            next_wake=None,
        )

    def new(self, name: str, cluster: str = "attic") -> CredentialStanding:
        """Make one that was not looked at yet."""
        places = ((f"kubernetes:tools/{name}", "kubernetes"),)
        return CredentialStanding(name, cluster, EVERY, OVERLAP, destinations=places)

    def working(self, name: str, cluster: str = "home") -> CredentialStanding:
        """Make one that is due."""
        return replace(self.fine(name, cluster, EVERY), next_change=self.now - timedelta(seconds=5))

    # whole standings

    def standing(self, credentials: list[CredentialStanding], **more: Any) -> Standing:  # noqa: ANN401 - fields of a standing
        """Put credentials into a standing of three clusters."""
        whole = Standing(
            self.now - 3 * DAY,
            ConfigurationStanding("/etc/rotate/rotate.yaml", "0" * 64, self.now - 3 * DAY),
            {it.name: it for it in credentials},
            self.clusters(),
        )
        return replace(whole, **more)

    def clusters(self) -> dict[str, ClusterStanding]:
        """Make one that answers, one that does not, and one that was not asked yet."""
        minute = timedelta(minutes=1)
        home = ClusterStanding(
            "home",
            ("pve1.lan:8006", "pve2.lan:8006", "pve3.lan:8006"),
            is_reachable=True,
            seen=self.now - 4 * minute,
            answered=self.now - 4 * minute,
            next_look=self.now + 11 * minute,
            operator_expire=self.now + 40 * DAY,
            greetings={"pve1.lan:8006": "", "pve2.lan:8006": "", "pve3.lan:8006": "nobody listens at pve3.lan:8006"},
        )
        lab = ClusterStanding(
            "lab",
            ("lab.lan:8006",),
            is_reachable=False,
            reason="cluster-unreachable",
            message="no endpoint of cluster lab answers: lab.lan:8006: connection refused",
            hint="is pveproxy running there?",
            seen=self.now - minute,
            answered=self.now - 5 * HOUR,
            next_look=self.now + 2 * minute,
        )
        return {"home": home, "lab": lab, "attic": ClusterStanding("attic", ("[fd00::1]:8006",))}

    def mixed(self) -> Standing:
        """Make one of each kind."""
        credentials = [
            self.fine("ci"),
            self.overlapping("grafana"),
            self.failing("terraform"),
            self.stuck("backup"),
            self.unadopted("legacy"),
            self.paused("packer"),
            self.new("csi"),
            self.working("ansible"),
            *(self.fine(f"exporter-{number}", age=number * DAY) for number in range(1, 9)),
        ]
        return self.standing(credentials, at_work={"ansible": Step.VERIFY})

    def refused(self) -> Standing:
        """Make one whose newer configuration was refused, and that stands by."""
        mixed = self.mixed()
        problems = (
            Problem(31, 5, "credentials[ci].every", "not a duration", "write 30d, 12h or 15m"),
            Problem(40, 3, "credentials[ci].destinatoin", "unknown key", "did you mean destination?"),
        )
        configuration = replace(
            mixed.configuration, refused=self.now - HOUR, problems=problems, message="the configuration has 2 errors"
        )
        return replace(mixed, configuration=configuration)

    def standby(self) -> Standing:
        """Make one of an instance that stands by."""
        leadership = LeadershipStanding(
            "kubernetes", leads=False, identity="rotate-1", holder="rotate-0", since=self.now
        )
        return replace(self.standing([self.new("ci")]), leadership=leadership)

    def crowd(self, count: int) -> Standing:
        """Make many, of every kind, most of them fine."""
        kinds = [self.fine] * 40 + [self.overlapping, self.failing, self.stuck, self.paused, self.new]
        names = (f"{name}-{number:05d}" for number, name in enumerate(islice(cycle(NAMES), count)))
        made = [
            kind(name, cluster)
            for name, kind, cluster in zip(names, cycle(kinds), cycle(("home", "lab", "attic", "home")), strict=False)
        ]
        return self.standing(made)

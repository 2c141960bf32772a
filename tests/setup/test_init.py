"""``rotate init``: from root@pam alone to the first rotation, over the real adapter."""

from __future__ import annotations

import stat
from dataclasses import replace

import pytest
import yaml

from rotator import config
from rotator.cli.init_questions import usual_owner
from rotator.errors import ConfigError, RefusedError
from rotator.setup.answers import PRIVILEGES
from rotator.testing.pve import Request
from rotator.testing.second_factor import Factors, Totp
from tests.setup.lab import CI, MADE, OPERATOR, ROOT, Lab, Scripted, changing, names
from tests.setup.terminal import CTRL_C, sit

KEY = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"


def with_factors(lab: Lab, factors: Factors) -> None:
    """Give root@pam second factors."""
    lab.pve.cluster.plant(lambda state: state.with_user(ROOT, replace(state.users[ROOT], factors=factors)))


def test_init_and_then_now_works(new: Lab) -> None:
    """With options alone: everything is made, and a token is issued, proven and published."""
    result = new.init()
    assert result.exit_code == 0, result.output
    assert new.is_set_up()
    assert new.rotate_now().exit_code == 0
    assert new.works()
    assert new.record()["token_id"].startswith(f"{CI}!ci-1-")


def test_a_second_run_changes_nothing_and_says_so(new: Lab) -> None:
    """Not even a file is written, and a rotation in between is nothing to it."""
    new.init()
    new.rotate_now()
    before, calls = new.config.read_text(encoding="utf-8"), changing(new.pve)
    again = new.init()
    assert again.exit_code == 0
    assert "all is there; nothing was changed" in again.stdout
    assert (new.config.read_text(encoding="utf-8"), changing(new.pve)) == (before, calls)
    assert new.is_set_up()


def test_a_dialog_does_the_same(new: Lab) -> None:
    """Somebody answers what has no usual answer and says yes to the rest; then again, knowing only the password."""
    asker = Scripted(new.answers())
    assert new.dialog(asker).exit_code == 0
    assert new.is_set_up()
    assert new.rotate_now().exit_code == 0
    again = Scripted({"Password of": new.password})
    assert "nothing was changed" in str(new.dialog(again).text[-1])
    assert again.asked == ["Log in as (once; nothing of it is kept)", f"Password of {ROOT} at home"]


@pytest.mark.parametrize("kind", ["totp", "recovery"])
def test_a_second_factor_is_asked_for(new: Lab, kind: str) -> None:
    """A one-time code or a recovery code, at the terminal or in the second line of the file."""
    factors = Factors(totp={"totp-1": Totp(KEY)}).with_recovery(0)
    with_factors(new, factors)
    code = Totp(KEY).code(new.time.stamp()) if kind == "totp" else factors.recovery[1]
    asker = Scripted(new.answers(**{"One-time or recovery code": code}))
    assert new.dialog(asker).exit_code == 0
    assert f"One-time or recovery code of {ROOT} at home" in asker.asked
    assert new.is_set_up()
    new.time.pass_by(minutes=2)
    next_code = Totp(KEY).code(new.time.stamp()) if kind == "totp" else factors.recovery[2]
    assert "nothing was changed" in new.call("init", *new.login(next_code)).stdout


def test_the_ticket_is_renewed_when_somebody_thinks_long(new: Lab) -> None:
    """Each change takes more than an hour; the second factor is asked for once, and all is made."""
    with_factors(new, Factors(totp={"totp-1": Totp(KEY)}))

    def disturb(asked: Request) -> None:
        new.time.passed += 4000 if asked.method == "POST" and asked.path != "/access/ticket" else 0

    new.pve.intercept = disturb
    asker = Scripted(new.answers(**{"One-time or recovery code": Totp(KEY).code(new.time.stamp())}))
    assert new.dialog(asker).exit_code == 0
    assert [it for it in asker.asked if "code" in it] == [f"One-time or recovery code of {ROOT} at home"]
    assert [call.path for call in new.pve.calls].count("/access/ticket") > 3
    assert new.is_set_up()


def test_every_step_is_shown_as_the_command_that_does_the_same(new: Lab) -> None:
    """Who does not trust it with a password can type them."""
    result = new.call("init", *new.options("--dry-run"))
    assert result.exit_code == 0
    lines = [line.removeprefix("missing").strip() for line in result.stdout.splitlines() if "pveum" in line]
    token = lines.pop()
    comment = "--comment 'made by rotate init for lab'"
    assert lines == [
        f"pveum group add rotated {comment}",
        "pveum role add TokenRotator --privs User.Modify",
        f"pveum user add rotator@pve {comment}",
        "pveum acl modify /access/groups/rotated --users rotator@pve --roles TokenRotator",
        f"pveum user add ci@pve {comment}",
        "pveum user modify ci@pve --groups rotated --append 1",
        "pveum acl modify /vms --users ci@pve --roles PVEVMUser",
    ]
    assert token.startswith("pveum user token add rotator@pve operator-")
    assert token.endswith(f" --privsep 0 {comment}")


def test_a_dry_run_changes_nothing(new: Lab) -> None:
    """Neither PVE nor the folder; what the file would be is printed."""
    result = new.call("init", *new.options("--dry-run"))
    assert (changing(new.pve), new.files()) == ([], [])
    assert "owner: lab" in result.stdout


def test_what_was_done_is_told_to_scripts(new: Lab) -> None:
    """Each thing with its state; the second time all is there."""
    first = new.json("init", *new.options("--yes"))["results"]
    assert [it["thing"] for it in first if "file" not in it["thing"]][:-1] == list(MADE)
    assert {it["state"] for it in first} == {"made"}
    again = new.json("init", *new.options("--yes"))["results"]
    assert {it["state"] for it in again} == {"there"}
    assert names(again, "there")[:-1] == list(MADE)


def test_the_configuration_is_valid_commented_and_known_to_editors(new: Lab) -> None:
    """It refers to the schema that lies beside it, and holds no secret."""
    new.init()
    text = new.config.read_text(encoding="utf-8")
    assert text.startswith("# yaml-language-server: $schema=rotate.schema.json\n")
    assert yaml.safe_load((new.folder / "rotate.schema.json").read_text(encoding="utf-8")) == config.schema()
    assert new.call("config", "check").exit_code == 0
    assert new.record("operator")["token_secret"] not in text
    assert new.password not in text


def test_the_operators_token_is_for_its_owner_alone(new: Lab) -> None:
    """The record has mode 0600."""
    new.init()
    assert stat.S_IMODE((new.folder / "operator.json").stat().st_mode) == 0o600


def test_the_operator_has_one_privilege_on_one_group(new: Lab) -> None:
    """Nothing else is in its role, and it is no member of the group that it manages."""
    new.init()
    assert new.state.roles["TokenRotator"] == PRIVILEGES == {"User.Modify"}
    held = new.pve.permissions(f"{OPERATOR}!{new.pve.tokens(OPERATOR)[0]}")
    assert held == {"/access/groups/rotated": {"User.Modify": 1}}
    assert new.state.users[OPERATOR].groups == frozenset()
    assert new.state.users[CI].groups == {"rotated"}


@pytest.mark.parametrize("privilege", sorted(PRIVILEGES))
def test_without_any_one_privilege_of_its_role_nothing_rotates(new: Lab, privilege: str) -> None:
    """So none of them is too many."""
    new.init()
    less = new.state.roles["TokenRotator"] - {privilege}
    new.pve.cluster.plant(lambda state: replace(state, roles={**state.roles, "TokenRotator": less}))
    assert new.rotate_now().exit_code == 4
    assert not (new.folder / "ci.json").exists()


def test_what_is_there_is_left_as_it_is(new: Lab) -> None:
    """Groups, users and permissions that others made keep their comments, and are not made again."""
    new.pve.add_group("rotated")
    new.pve.add_role("TokenRotator", ["User.Modify"])
    new.pve.add_user(CI, groups=["rotated"])
    new.pve.grant("/vms", "PVEVMUser", user=CI, propagate=False)
    before = new.state
    results = new.json("init", *new.options("--yes"))["results"]
    assert names(results, "there") == [MADE[0], MADE[1], MADE[4], MADE[5], MADE[6]]
    assert (new.state.groups, new.state.users[CI]) == (before.groups, before.users[CI])
    assert new.state.acl["/vms"] == before.acl["/vms"]
    assert new.rotate_now().exit_code == 0


def test_what_was_taken_away_is_made_again(new: Lab) -> None:
    """Somebody deleted the operator's token and the permission: the next run mends both, and says so in the file."""
    new.pve.add_user(OPERATOR)
    new.init()
    new.pve.delete_token(f"{OPERATOR}!{new.pve.tokens(OPERATOR)[0]}")
    new.pve.cluster.plant(lambda state: state.without_user(OPERATOR))
    assert new.rotate_now().exit_code == 4
    assert f"# init: found user {OPERATOR}" in new.config.read_text(encoding="utf-8")
    assert new.init().exit_code == 0
    assert f"# init: made user {OPERATOR}" in new.config.read_text(encoding="utf-8")
    assert new.is_set_up()
    assert new.rotate_now().exit_code == 0


def test_a_use_brings_roles_and_the_words_of_its_consumer(new: Lab) -> None:
    """Monitoring sees everything, changes nothing, and reads variables of the environment."""
    endpoint = ["--endpoint", new.pve.nodes[0].endpoint, "--fingerprint", new.pve.fingerprint]
    result = new.call("init", *endpoint, "--name", "ci", "--use", "monitoring", "--yes", *new.login())
    assert result.exit_code == 0, result.output
    assert new.call("now", "ci").exit_code == 0
    record = dict(line.split("=", 1) for line in (new.folder / "ci.env").read_text(encoding="utf-8").splitlines())
    assert record["PVE_USER"].strip("'") == CI
    assert new.pve.permissions(CI)["/"]["Sys.Audit"] == 1
    assert f"owner: {usual_owner()}" in new.config.read_text(encoding="utf-8")


def test_every_question_has_an_option(new: Lab) -> None:
    """Names of everything, and durations."""
    named = ["--cluster", "lab", "--group", "g", "--role", "R", "--operator", "op@pve", "--user", "u@pve"]
    place = ["--place", f"path={new.folder}/x.json", "--operator-place", f"path={new.folder}/o.json"]
    assert new.init(*named, *place, "--every", "7d", "--overlap", "1h").exit_code == 0
    text = new.config.read_text(encoding="utf-8")
    assert "every: 7d" in text
    assert "overlap: 1h" in text
    assert new.call("now", "ci").exit_code == 0
    assert new.works("x")
    assert new.works("o")
    assert new.init(*named).exit_code == 0


def test_without_a_terminal_every_missing_option_is_named(new: Lab) -> None:
    """All at once, before anybody is contacted."""
    result = new.call("init")
    assert result.exit_code == 2
    assert "give --endpoint, --login and --password-file, --name, --use or --grant" in " ".join(result.stderr.split())
    assert new.pve.calls == []


def test_without_a_terminal_nothing_is_done_without_yes(new: Lab) -> None:
    """A script says that it means it."""
    result = new.call("init", *new.options())
    assert (result.exit_code, "say --yes" in result.stderr) == (2, True)
    assert (changing(new.pve), new.files()) == ([], [])
    assert new.init().exit_code == 0
    assert "give --login and --password-file" in " ".join(new.call("init").stderr.split())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--grant", "vms=PVEVMUser"], "Invalid value for --use, --grant"),
        (["--grant", "PVEVMUser"], "write PATH=ROLE"),
        (["--place", "path"], "write KEY=VALUE"),
        (["--endpoint", "https://pve"], "a URL instead of a host"),
        (["--store", "vault", "--store-setting", "address=x: y: z"], "write KEY=VALUE"),
    ],
)
def test_an_option_that_makes_no_sense_is_a_wrong_usage(new: Lab, options: list[str], said: str) -> None:
    """It says what to write instead, and nothing was changed."""
    result = new.init(*options)
    assert (result.exit_code, changing(new.pve), new.files()) == (2, [], [])
    assert said in " ".join(result.stderr.replace("│", " ").split())


def test_an_answer_that_makes_no_sense_is_asked_for_again(new: Lab) -> None:
    """On a terminal it is no reason to begin anew."""
    answers = iter(["PVEVMUser", "/vms=PVEVMUser"])

    class Mistaken(Scripted):
        def _answer(self, question: str, otherwise: str) -> str:
            return next(answers) if "What may it do" in question else super()._answer(question, otherwise)

    asker = Mistaken(new.answers())
    assert new.dialog(asker).exit_code == 0
    assert any("write PATH=ROLE" in it for it in asker.said)


def test_answers_that_make_no_configuration_are_told_all_at_once(new: Lab) -> None:
    """As with any configuration; nothing was changed."""
    result = new.init("--every", "soon", "--overlap", "5")
    assert (result.exit_code, changing(new.pve), new.files()) == (3, [], [])
    assert "every" in result.stderr
    assert "overlap" in result.stderr


def test_a_configuration_of_somebody_else_is_left_alone(new: Lab) -> None:
    """It may be a good one."""
    new.config.write_text("version: 1\n", encoding="utf-8")
    result = new.init()
    assert (result.exit_code, "was not made by `rotate init`" in result.stderr) == (3, True)
    assert new.config.read_text(encoding="utf-8") == "version: 1\n"


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--name", "other"),
        ("--user", "other@pve"),
        ("--operator", "other@pve"),
        ("--group", "other"),
        ("--role", "Other"),
        ("--owner", "other"),
        ("--cluster", "other"),
        ("--endpoint", "other.example"),
        ("--fingerprint", "AB" * 32),
        ("--grant", "/vms=PVEVMAdmin"),
    ],
)
def test_options_that_say_something_else_than_the_file_are_refused(new: Lab, option: str, value: str) -> None:
    """Nobody believes then that they were heeded."""
    new.init()
    result = new.call("init", option, value, "--yes", *new.login())
    assert result.exit_code == 3
    assert option in result.stderr
    assert new.is_set_up()


def test_an_option_that_makes_no_sense_beside_a_file_is_told(new: Lab) -> None:
    """As without one."""
    new.init()
    result = new.call("init", "--grant", "PVEVMUser", "--yes", *new.login())
    assert (result.exit_code, "write PATH=ROLE" in result.stderr) == (3, True)


def test_a_journal_that_is_damaged_is_not_guessed_at(new: Lab) -> None:
    """What was made here decides what is taken away."""
    new.init()
    text = new.config.read_text(encoding="utf-8")
    for damaged in (text.replace("init: for home ci", "init: for home"), text.replace("made member", "made friend")):
        new.config.write_text(damaged, encoding="utf-8")
        assert "are damaged" in new.init().stderr


def test_what_users_add_to_the_file_stays(new: Lab) -> None:
    """A credential below, a renamed comment: the notes are found wherever they stand."""
    new.init()
    more = (
        f"  - {{name: two, cluster: home, user: {CI}, privsep: false, destination: {{path: {new.folder}/two.json}}}}\n"
    )
    text = new.config.read_text(encoding="utf-8")
    new.config.write_text(text + more, encoding="utf-8")
    new.pve.cluster.plant(lambda state: state.without_grant("/vms", next(iter(state.acl["/vms"])), "PVEVMUser"))
    assert new.init().exit_code == 0
    assert new.config.read_text(encoding="utf-8") == text + more
    assert new.call("now", "two").exit_code == 0


@pytest.mark.parametrize(
    ("user", "said"), [(ROOT, "root@pam is not to be managed"), (OPERATOR, "would manage its own tokens")]
)
def test_users_that_must_not_be_managed_are_refused(new: Lab, user: str, said: str) -> None:
    """Whoever manages root's tokens is root."""
    result = new.init("--user", user)
    assert (result.exit_code, said in result.stderr, changing(new.pve)) == (4, True, [])


def test_a_role_that_may_more_is_refused(new: Lab) -> None:
    """A role of that name that is there is neither changed nor given away."""
    new.pve.add_role("TokenRotator", ["User.Modify", "Sys.Modify"])
    result = new.init()
    assert result.exit_code == 4
    assert "has Sys.Modify, User.Modify instead of User.Modify" in result.stderr
    assert "--role" in result.stderr
    assert changing(new.pve) == []


def test_a_group_with_root_in_it_is_refused(new: Lab) -> None:
    """Whoever manages its members' tokens could make one of root@pam."""
    new.pve.add_group("rotated")
    new.pve.cluster.plant(lambda s: s.with_user(ROOT, replace(s.users[ROOT], groups=frozenset({"rotated"}))))
    result = new.init()
    assert (result.exit_code, "name another group with --group" in result.stderr) == (4, True)
    assert changing(new.pve) == []


def test_whom_the_operator_will_manage_besides_is_said(new: Lab) -> None:
    """A group that is there may have members; nobody shall be surprised."""
    new.pve.add_group("rotated")
    new.pve.add_user("bob@pve", groups=["rotated"])
    result = new.call("init", *new.options("--dry-run"))
    assert "the operator will manage the tokens of bob@pve too" in result.stderr


def test_a_disabled_user_and_an_unknown_role_are_found_before_anything_is_done(new: Lab) -> None:
    """Both would end in a set-up that does not work."""
    new.pve.add_user(CI, enable=False)
    assert "ci@pve is disabled" in new.init().stderr
    new.pve.cluster.plant(lambda state: state.without_user(CI))
    assert "PVE has no role Nonsense" in new.init("--grant", "/=Nonsense").stderr
    assert changing(new.pve) == []


def test_a_login_that_does_not_see_everything_is_refused(new: Lab, canary: str) -> None:
    """PVE leaves out silently what it may not see: all would look as if it were missing."""
    new.pve.add_user("ann@pve", password=canary)
    new.pve.add_role("Groups", ["User.Modify", "Group.Allocate"])
    new.pve.grant("/access/groups", "Groups", user="ann@pve")
    result = new.init("--login", "ann@pve")
    assert (result.exit_code, "lacks Sys.Audit on /access" in result.stderr) == (4, True)
    new.pve.grant("/", "PVEAuditor", user="ann@pve")
    new.pve.grant("/access/groups", "PVEAuditor", user="ann@pve")
    refused = new.init("--login", "ann@pve")
    assert "403" in refused.stderr
    assert "live now: 3 of 10 steps are done" in refused.stderr
    assert new.init().exit_code == 0
    assert new.rotate_now().exit_code == 0


def test_a_place_that_holds_the_token_of_somebody_else_is_left_alone(new: Lab) -> None:
    """Others may work with it."""
    secret = new.pve.add_token(ROOT, "mine")
    new.watch(secret)
    path = new.folder / "operator.json"
    path.write_text(f'{{"token_id": "{ROOT}!mine", "token_secret": "{secret}"}}', encoding="utf-8")
    path.chmod(0o600)
    result = new.init()
    assert (result.exit_code, "a token of somebody else; it was left alone" in result.stderr) == (4, True)
    path.write_text('{"token_id": "mine"}', encoding="utf-8")
    assert "holds something that is no token" in new.init().stderr
    assert changing(new.pve) == []


def test_an_operator_that_is_there_is_used(new: Lab) -> None:
    """Its token was made by hand, and its record works: nothing is issued."""
    new.pve.add_user(OPERATOR)
    secret = new.pve.add_token(OPERATOR, "byhand", privsep=False)
    new.watch(secret)
    path = new.folder / "operator.json"
    path.write_text(f'{{"token_id": "{OPERATOR}!byhand", "token_secret": "{secret}"}}', encoding="utf-8")
    path.chmod(0o600)
    assert new.init().exit_code == 0
    assert new.pve.tokens(OPERATOR) == ["byhand"]
    assert new.rotate_now().exit_code == 0


def test_a_no_ends_it_and_the_next_run_goes_on(new: Lab) -> None:
    """It says what was made; nothing is lost."""
    asker = Scripted(new.answers())
    steps = iter(["y", "y", "y", "n"])

    class Hesitant(Scripted):
        def choose(self, question: str) -> str:
            return next(steps, question)

    report = new.dialog(Hesitant(asker.answers))
    assert report.exit_code == 0
    assert "stopped; run `rotate init` again" in str(report.text[-1])
    assert (set(new.state.groups), "TokenRotator" in new.state.roles) == ({"rotated"}, False)
    assert new.dialog(asker).exit_code == 0
    assert new.is_set_up()


def test_all_is_asked_once(new: Lab) -> None:
    """Who has read the first step and says `a` is not asked again."""
    asker = Scripted({"Do it?": "a", **new.answers()})
    assert new.dialog(asker).exit_code == 0
    assert asker.asked.count("Do it?") == 1


def test_on_a_terminal_it_works_and_shows_no_secret(new: Lab) -> None:
    """The whole dialog as a person has it; Ctrl-C at the last question but one, then again."""
    env = {"ROTATE_CONFIG": str(new.config)}
    dialog = [
        ("Address of a node", new.pve.nodes[0].endpoint),
        ("Trust it from now on?", "y"),
        ("Log in as", ""),
        (f"Password of {ROOT} at home: ", new.password),
        ("Name of the credential", "ci"),
        ("What may it do", "/vms=PVEVMUser"),
        ("Its user at PVE", ""),
        ("Where ci reads its token", ""),
        ("Where to keep the operator's own token", ""),
    ]
    stopped = sit(["init"], [*dialog, *[("Do it?", "y")] * 3, ("Do it?", CTRL_C)], env)
    assert (stopped.exit_code, "3 of 10 steps are done; run `rotate init` again" in stopped.screen) == (130, True)
    login = [("Log in as", ""), (f"Password of {ROOT} at home: ", new.password)]
    again = sit(["init"], [*login, ("Do it?", "nope"), ("Do it?", "YES"), ("Do it?", "all")], env)
    new.look_at_secrets()
    assert again.exit_code == 0
    assert "type one of yes, all, no, or its first letter" in again.screen
    assert new.is_set_up()
    assert new.password not in stopped.screen + again.screen
    assert new.record("operator")["token_secret"] not in again.screen


def test_a_cluster_that_the_file_calls_otherwise_is_not_guessed(new: Lab) -> None:
    """Renamed by its user, and no record any more: both are told."""
    new.init()
    text = new.config.read_text(encoding="utf-8")
    new.config.write_text(text.replace("home:", "house:").replace("cluster: home", "cluster: house"), encoding="utf-8")
    assert "has no cluster home any more" in new.call("init", "--yes", *new.login()).stderr
    operator = f"operator: {{path: {new.folder}/operator.json}}"
    token = "operator: {token_id: rotator@pve!own, token_secret: {env: PATH}}"
    new.config.write_text(text.replace(operator, token), encoding="utf-8")
    assert "is no record any more" in new.call("init", "--yes", *new.login()).stderr


def test_questions_say_what_is_wrong_with_a_file(new: Lab) -> None:
    """A configuration that is not text, or a folder that is not there."""
    new.config.write_bytes(b"\xff")
    assert "is not UTF-8" in new.init().stderr
    new.config.unlink()
    with pytest.raises((ConfigError, RefusedError)):
        raise ConfigError(
            new.call("init", *new.options("--yes", "--operator-place", "path=/nonexistent/o.json")).stderr
        )
    assert new.pve.tokens(OPERATOR) == []

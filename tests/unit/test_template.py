"""Templates: what they take, what they write, and what is read back out of that."""

from __future__ import annotations

import pytest

from rotator.faults import InvalidValueError
from rotator.template import VARIABLES, Template, UnfitError

VALUES = {
    "userid": "ci@pve",
    "user": "ci",
    "realm": "pve",
    "token_name": "ci-1-abcde",
    "secret": "0b2c",
    "cluster": "home",
    "host": "[fd00::1]",
    "port": "8006",
    "endpoint_url": "https://[fd00::1]:8006",
    "api_url": "https://[fd00::1]:8006/api2/json",
    "verify_ssl": "true",
    "insecure": "false",
    "expires_at": "2026-03-01T12:00:00Z",
}


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("{token_id}", "ci@pve!ci-1-abcde"),
        ("{token_name}", "ci-1-abcde"),
        ("{userid} {user} {realm}", "ci@pve ci pve"),
        ("{token}", "ci@pve!ci-1-abcde=0b2c"),
        ("{name_secret}", "ci-1-abcde=0b2c"),
        ("{auth_header}", "PVEAPIToken=ci@pve!ci-1-abcde=0b2c"),
        ("Authorization: {auth_header}", "Authorization: PVEAPIToken=ci@pve!ci-1-abcde=0b2c"),
        ("{endpoint_url} {api_url}", "https://[fd00::1]:8006 https://[fd00::1]:8006/api2/json"),
        ("{host}:{port}", "[fd00::1]:8006"),
        ("{verify_ssl}, {insecure}", "true, false"),
        ('{{"until": "{expires_at}"}}', '{"until": "2026-03-01T12:00:00Z"}'),
        ("nothing {{to}} fill in", "nothing {to} fill in"),
        ("", ""),
    ],
)
def test_each_variable_is_what_its_name_says(text: str, written: str) -> None:
    """In the words that consumers want."""
    assert Template.parse(text).fill(VALUES) == written


@pytest.mark.parametrize("variable", VARIABLES)
def test_every_variable_can_stand_alone_and_be_read_back(variable: str) -> None:
    """The whole text is then its value, so nothing can be mistaken."""
    template = Template.parse(f"{{{variable}}}")
    assert template.is_readable
    assert template.read(template.fill(VALUES)) == [
        (part.variable, VALUES[part.variable]) for part in template.parts if part.variable
    ]


@pytest.mark.parametrize(
    ("text", "message", "advice"),
    [
        ("{", "a brace without its other half", "write {{ and }}"),
        ("a } b", "a brace without its other half", "write {{ and }}"),
        ("{}", "not the name of a variable in braces", "{token_id}"),
        ("{0}", "not the name of a variable in braces", "{token_id}"),
        ("{secret.reveal}", "not the name of a variable in braces", "{token_id}"),
        ("{secret[0]}", "not the name of a variable in braces", "{token_id}"),
        ("{secret!r}", "not the name of a variable in braces", "{token_id}"),
        ("{secret:>40}", "not the name of a variable in braces", "{token_id}"),
        ("{secret:{port}}", "not the name of a variable in braces", "{token_id}"),
        ('{"a": "{secret}"}', "not the name of a variable in braces", "write {{ and }}"),
        ("{tokenid}", "no variable is called 'tokenid'", "did you mean 'token_id'?"),
        ("{token_secret}", "no variable is called 'token_secret'", "did you mean"),
        ("{xyz}", "no variable is called 'xyz'", "there is api_url, auth_header"),
    ],
)
def test_a_template_is_names_in_braces_and_nothing_else(text: str, message: str, advice: str) -> None:
    """Whatever Python's format could do beyond that is refused, with what to write instead."""
    with pytest.raises(InvalidValueError) as caught:
        Template.parse(text)
    assert caught.value.message == message
    assert advice in caught.value.advice


def test_what_could_be_a_secret_is_not_repeated() -> None:
    """Something in braces that is no name may be a secret that was put there."""
    with pytest.raises(InvalidValueError) as caught:
        Template.parse("{ci@pve!ci=canary}")
    assert "canary" not in f"{caught.value.message} {caught.value.advice}"


@pytest.mark.parametrize(
    "text",
    [
        'token_secret: "{secret}"\n',
        "{userid}!{token_name}={secret}",
        'url: "{api_url}"\ninsecure: {insecure}\ntoken: "{token}"\n',
        "https://{host}:{port}/ {token}",
        "{expires_at} {secret} {cluster}",
        "{secret},{secret}",
    ],
)
def test_what_has_clear_borders_is_read_back(text: str) -> None:
    """After each value comes something that cannot belong to it."""
    template = Template.parse(text)
    assert template.is_readable
    read = template.read(template.fill(VALUES))
    assert read is not None
    assert all(VALUES[variable] == value for variable, value in read)


@pytest.mark.parametrize(
    "text",
    ["{token_id}{secret}", "{secret}x", "{user}@{realm}", "{token_name}-{secret}", "{port}0", "{secret}{expires_at}"],
)
def test_what_has_no_clear_borders_is_not_read(text: str) -> None:
    """A guess that is right today would be another token tomorrow."""
    template = Template.parse(text)
    assert not template.is_readable
    assert template.read(template.fill(VALUES)) is None


@pytest.mark.parametrize("changed", ["https://pve9.lan:443/api2/json", "https://[::1]:8006/api2/json"])
def test_the_configuration_may_change_between_writing_and_reading(changed: str) -> None:
    """An endpoint that was replaced must not make the secret unreadable."""
    template = Template.parse('url: "{api_url}"\ntoken: "{token}"\n')
    written = template.fill({**VALUES, "api_url": changed})
    assert ("secret", "0b2c") in (template.read(written) or [])


@pytest.mark.parametrize(
    "written", ["", "url: x", 'url: "https://a:1/api2/json"\ntoken: "ci@pve!ci=0b2c"', "ci@pve!ci=0b2c"]
)
def test_what_is_of_another_form_is_not_read(written: str) -> None:
    """Another template, or a file that somebody else wrote."""
    assert Template.parse('url: "{api_url}"\ntoken: "{token}"\n').read(written) is None


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("secret", 'a"b'),
        ("secret", "a b"),
        ("secret", "a\nb"),
        ("secret", ""),
        ("userid", 'x"@pve'),
        ("userid", "x\\y@pve"),
        ("userid", "x{y@pve"),
        ("token_name", "1ci"),
        ("verify_ssl", "maybe"),
    ],
)
def test_nothing_is_written_that_could_break_out_of_its_quotes(variable: str, value: str) -> None:
    """A user's name is somebody else's choice; the error names the variable alone."""
    with pytest.raises(UnfitError) as caught:
        Template.parse(f'key: "{{{variable}}}"\n').fill({**VALUES, variable: value})
    assert str(caught.value) == variable


def test_a_value_that_stands_alone_may_have_any_characters() -> None:
    """There is nothing around it that it could be mistaken for."""
    odd = {**VALUES, "secret": "two words\n'\"=!{}", "userid": 'd\\"x@y@pve'}
    template = Template.parse("{token}")
    assert template.read(template.fill(odd)) == [
        ("userid", odd["userid"]),
        ("token_name", odd["token_name"]),
        ("secret", odd["secret"]),
    ]

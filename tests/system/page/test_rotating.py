"""Logging in and rotating now, in Chromium, through to the record."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from rotator.settings import ListenSettings
from tests.system.page.conftest import Stage
from tests.system.page.test_page import DARK, PHONE, findings


@pytest.fixture
def listen(stage: Stage, canary: str) -> ListenSettings:
    """Return where rotation is offered to whoever shows the token; the one credential has its first token."""
    stage.service.begin_due()
    return ListenSettings(port=0, token=stage.house.keep(canary), offers_rotation=True)


@pytest.fixture
def calm(stage: Stage) -> Iterator[None]:
    """See that no page complained, but for what it was refused on purpose."""
    yield
    assert [it for it in stage.complaints if "the server responded with a status of 4" not in it] == []


def log_in(page: Page, token: str) -> None:
    """Show the token."""
    page.get_by_label("Token", exact=True).fill(token)
    page.get_by_role("button", name="Log in").click()


def written(stage: Stage) -> int:
    """Count how often the record was written."""
    return len(stage.house.street.shop.written["ci"])


@pytest.mark.usefixtures("calm")
def test_a_rotation_is_asked_for_explained_confirmed_and_done(
    stage: Stage, listen: ListenSettings, canary: str
) -> None:
    """From the door to the new record; leaving it as it is does nothing."""
    page = stage.open(listen=listen)
    assert page.url.endswith("/login")
    log_in(page, "wrong")
    expect(page.get_by_role("alert")).to_have_text("This is not the token.")
    log_in(page, canary)
    act = page.get_by_role("button", name="Rotate ci now")
    act.click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("It is published to memory:ci")
    expect(dialog).to_contain_text(re.compile("The token that is current, ci-1-.*, works for another 1.d"))
    page.keyboard.press("Enter")  # the focus is on what changes nothing
    expect(dialog).to_be_hidden()
    stage.service.begin_due()
    assert written(stage) == 1
    act.click()
    page.get_by_role("button", name="Rotate now", exact=True).click()
    expect(page.locator("#news")).to_have_text("ci will be rotated now")
    expect(act).to_have_text("asked for")
    stage.service.begin_due()
    assert written(stage) == 2
    stage.look(page)
    expect(act).to_have_text("Rotate now")
    page.get_by_role("button", name="ci", exact=True).click()
    expect(dialog).to_contain_text(re.compile("asked for, by session [0-9a-f]{8}"))
    expect(dialog).to_contain_text("rotate explain forced")
    assert not page.evaluate("document.cookie")


@pytest.mark.usefixtures("calm")
def test_an_answer_that_comes_late_is_about_the_credential_that_was_asked_for(
    stage: Stage, listen: ListenSettings, canary: str
) -> None:
    """Meanwhile somebody may ask about another one: that question stays open, and nothing is said to be done for it."""
    stage.show(stage.scene.standing([stage.scene.fine("ci"), stage.scene.fine("grafana")]))
    page = stage.open(listen=listen)
    log_in(page, canary)
    held: list[Route] = []
    page.route("**/api/v1/rotate", lambda route: held.append(route))  # noqa: PLW0108 - Playwright takes no method of C
    page.get_by_role("button", name="Rotate ci now").click()
    with page.expect_request("**/api/v1/rotate"):
        page.get_by_role("button", name="Rotate now", exact=True).click()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Rotate grafana now").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Rotate grafana now?")
    held[0].fulfill(status=202, json={"credential": "ci", "who": "session 0a1b2c3d"})
    expect(page.locator("#news")).to_have_text("ci will be rotated now")
    expect(dialog).to_contain_text("Rotate grafana now?")
    expect(page.locator("[data-name=grafana] .act")).to_have_text("Rotate now")


@pytest.mark.usefixtures("calm")
def test_who_logs_out_sees_no_more(stage: Stage, listen: ListenSettings, canary: str) -> None:
    """Also not by going back."""
    page = stage.open(listen=listen)
    log_in(page, canary)
    expect(page.locator("#count")).to_have_text("1")
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_label("Token", exact=True)).to_be_visible()
    page.goto(page.url.replace("login", ""))
    expect(page.get_by_label("Token", exact=True)).to_be_visible()


@pytest.mark.usefixtures("calm")
def test_without_a_token_nothing_can_be_rotated(stage: Stage) -> None:
    """There is no button, and no path behind one."""
    stage.service.begin_due()
    page = stage.open()
    expect(page.locator("[data-name=ci]")).to_contain_text("Fine")
    assert page.get_by_role("button", name="Rotate").count() == 0
    wish = "fetch('api/v1/rotate', { method: 'POST', body: '{\"credential\": \"ci\"}' }).then(it => it.status)"
    assert page.evaluate(wish) == 404


def test_another_site_rotates_nothing_even_in_a_browser_that_has_logged_in(
    stage: Stage, listen: ListenSettings, canary: str
) -> None:
    """Its page is of another origin, on the same machine even; the wish comes without cookie, or not at all."""
    page = stage.open(listen=listen)
    log_in(page, canary)
    expect(page.locator("#count")).to_have_text("1")
    target = page.url + "api/v1/rotate"
    other = page.context.new_page()
    other.goto(stage.house.open())  # by its address: another site
    wish = """target => fetch(target, {
        method: "POST", mode: "no-cors", credentials: "include", body: '{"credential": "ci"}',
    }).then(() => "sent", () => "blocked")"""
    assert other.evaluate(wish, target) == "blocked"
    stage.service.begin_due()
    assert written(stage) == 1


@pytest.mark.parametrize("settings", [{}, DARK, PHONE], ids=["light", "dark", "phone"])
def test_everybody_can_log_in_and_confirm(
    stage: Stage, listen: ListenSettings, canary: str, settings: dict[str, Any]
) -> None:
    """Nothing grave is found by axe."""
    page = stage.open(listen=listen, bypass_csp=True, **settings)
    expect(page.get_by_label("Token", exact=True)).to_be_focused()
    assert findings(page) == []
    log_in(page, canary)
    page.get_by_role("button", name="Rotate ci now").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    assert findings(page, "dialog[open]") == []

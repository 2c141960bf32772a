"""The status page in Chromium: what it shows, what can be done with it, and that its own policy forbids it nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import axe_playwright_python
import pytest
from playwright.sync_api import Page, expect

from rotator.service.standing import LeadershipStanding
from tests.system.page.conftest import Stage
from tests.system.page.scene import HOUR

TOLD = re.compile("current token grafana-8-k3f9q, issued 6.h ago; .*; retiring token grafana-7-k3f9q, works until .*")
AXE = Path(axe_playwright_python.__file__).with_name("axe.min.js")
GRAVE = {"serious", "critical"}
DARK: dict[str, Any] = {"color_scheme": "dark"}
PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "has_touch": True,
    "is_mobile": True,
    "device_scale_factor": 2,
}
FILTER = """(words) => {
    const find = document.getElementById("find");
    const times = words.map((word) => {
        const before = performance.now();
        find.value = word;
        find.dispatchEvent(new Event("input", { bubbles: true }));
        document.getElementById("grid").getBoundingClientRect();
        return performance.now() - before;
    });
    return times.sort((a, b) => a - b)[Math.floor(times.length / 2)];
}"""


@pytest.fixture
def stage(stage: Stage) -> Iterator[Stage]:
    """Return the stage, and see that no page complained: nothing was forbidden, nothing failed."""
    yield stage
    assert stage.complaints == []


def names(page: Page) -> list[str]:
    """Return which credentials are drawn, from the top."""
    return [it for it in page.locator(".body .row").evaluate_all("rows => rows.map(row => row.dataset.name)") if it]


def focused(page: Page) -> str:
    """Return what the keyboard is at: column and credential."""
    told = "e => `${e.closest('.cell')?.dataset.title ?? e.textContent} ${e.closest('.row')?.dataset.name ?? ''}`"
    return str(page.locator(":focus").evaluate(told)).strip()


def findings(page: Page, within: str = "html") -> list[str]:
    """Return what axe finds to be grave."""
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("within => axe.run(within, { resultTypes: ['violations'] })", within)
    assert found["passes"]
    return [
        f"{it['id']}: {it['help']}: {[node['target'] for node in it['nodes']]}"
        for it in found["violations"]
        if it["impact"] in GRAVE
    ]


def test_everything_is_shown_in_words(stage: Stage) -> None:
    """The state, the age, the tokens, the last outcome with its reason, the next change, and every endpoint."""
    stage.show(stage.scene.mixed())
    page = stage.open()
    expect(page.locator("#summary")).to_contain_text("2 credentials of 16 need a person")
    expect(page.locator("#summary")).to_contain_text("1 is failing · 1 is due or being rotated")
    expect(page.locator("#clusters")).to_contain_text("pve3.lan:8006 not reachable")
    expect(page.locator("#clusters")).to_contain_text("no endpoint of cluster lab answers")
    row = page.locator("[data-name=grafana]")
    for text in ("Fine", "6 h of 30 d", "old one ends in 17 h", "due 6 h ago", "in 17 h"):
        expect(row).to_contain_text(text)
    expect(row.locator("svg")).to_have_attribute("aria-label", TOLD)
    expect(row.locator("svg .overlap")).to_have_count(1)
    expect(page.locator("[data-name=ansible]")).to_contain_text("at the step verify")
    expect(page.locator("[data-name=terraform]")).to_contain_text("failed 3")


def test_what_is_not_so_is_not_shown_as_if_it_were(stage: Stage) -> None:
    """No credentials, nothing ran yet, standing by, a configuration that was refused."""
    scene = stage.scene
    stage.show(scene.standing([]))
    page = stage.open()
    expect(page.locator("#empty")).to_contain_text("There is nothing to rotate")
    expect(page.locator("#grid")).to_be_hidden()
    stage.show(scene.standing([scene.new("ci")]))
    stage.look(page)
    expect(page.locator("#summary")).to_contain_text("Nothing ran yet")
    stage.show(replace(scene.refused(), leadership=LeadershipStanding("kubernetes", leads=False, holder="rotate-0")))
    stage.look(page)
    expect(page.locator("#notices")).to_contain_text(
        "A newer configuration was refused; the old one is still in force."
    )
    expect(page.locator("#notices")).to_contain_text("31:5 credentials[ci].every: not a duration")
    expect(page.locator("#about")).to_contain_text("This instance stands by; rotate-0 leads")


@pytest.mark.parametrize(
    ("ahead", "texts", "change", "clock"),
    [
        (5 * HOUR, ("11 h of 30 d", "old one ends in 12 h"), "Due", "its clock is 5 h ahead"),
        (-5 * HOUR, ("1 h of 30 d", "old one ends in 22 h"), "Fine", "its clock is 5 h behind"),
    ],
)
def test_ages_and_ends_are_right_though_the_clock_of_a_cluster_is_not(
    stage: Stage, ahead: timedelta, texts: tuple[str, ...], change: str, clock: str
) -> None:
    """What PVE's clock said is put on the service's, by which everything else is; and that they differ is told."""
    scene = stage.scene
    due = replace(scene.fine("ci"), next_change=scene.now + HOUR)
    whole = scene.standing([scene.overlapping("grafana"), due])
    home = replace(whole.clusters["home"], clock_offset=ahead)
    stage.show(replace(whole, clusters={**whole.clusters, "home": home}))
    page = stage.open()
    for text in texts:
        expect(page.locator("[data-name=grafana]")).to_contain_text(text)
    expect(page.locator("[data-name=ci] .in-state")).to_contain_text(change)
    expect(page.locator("#clusters")).to_contain_text(clock)


def test_it_is_filtered_by_words_and_by_state(stage: Stage) -> None:
    """Both at once; the address keeps them, and somebody who only listens is told how many there are."""
    stage.show(stage.scene.mixed())
    page = stage.open()
    page.get_by_label("Find").fill("exporter home")
    expect(page.locator("#count")).to_have_text("8 of 16")
    expect(page.locator("#news")).to_have_text("8 credentials shown")
    page.get_by_label("Find").fill("")
    page.get_by_role("button", name="Need a person").click()
    expect(page.locator("#count")).to_have_text("2 of 16")
    page.get_by_label("Find").fill("LEGACY")
    assert names(page) == ["legacy"]
    page.reload()
    expect(page.locator("#count")).to_have_text("1 of 16")
    page.get_by_label("Find").fill("nothing like that")
    expect(page.locator("#empty")).to_have_text("No credential is like that.")


def test_it_is_sorted_by_any_column(stage: Stage) -> None:
    """Both ways; what is not known stays at the end."""
    stage.show(stage.scene.mixed())
    page = stage.open(viewport={"width": 1280, "height": 1800})
    expect(page.locator(".body .row")).to_have_count(16)
    columns = {
        "Credential": ("ascending", "ansible", "terraform"),
        "Cluster": ("ascending", "csi", "terraform"),
        "State": ("ascending", "legacy", "ci"),
        "Age": ("descending", "packer", "grafana"),
        "Tokens": ("ascending", "grafana", "grafana"),
        "Last outcome": ("descending", "terraform", "packer"),
        "Next change": ("ascending", "ansible", "exporter-1"),
    }
    for title, (direction, first, first_reversed) in columns.items():
        header = page.get_by_role("columnheader", name=title)
        header.get_by_role("button").click()
        expect(header).to_have_attribute("aria-sort", direction)
        assert names(page)[0] == first
        header.get_by_role("button").click()
        expect(header).not_to_have_attribute("aria-sort", direction)
        assert names(page)[0] == first_reversed


def test_everything_can_be_done_with_the_keyboard(stage: Stage) -> None:
    """The table is one stop of Tab; arrows go on in it, Enter opens, Escape comes back to where it was."""
    stage.show(stage.scene.crowd(300))
    page = stage.open("/#order=name")
    expect(page.locator("#count")).to_have_text("300")
    page.keyboard.press("/")
    page.keyboard.type("0")
    expect(page.get_by_label("Find")).to_have_value("0")
    page.locator("#groups button").last.focus()
    page.keyboard.press("Tab")
    assert focused(page) == "Credential ansible-00005"
    for key in ("ArrowDown", "ArrowRight", "End"):
        page.keyboard.press(key)
    assert focused(page) == "Next change ansible-00015"
    page.keyboard.press("Control+End")
    assert focused(page) == "Next change zabbix-00296"
    expect(page.locator("[data-name=zabbix-00296]")).to_be_in_viewport()
    page.keyboard.press("Control+Home")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    assert focused(page).startswith("Credential")
    expect(page.get_by_role("columnheader", name="Credential")).to_have_attribute("aria-sort", "descending")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("PageDown")
    before = focused(page)
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    assert focused(page) == before
    outline = page.locator(":focus").evaluate("e => getComputedStyle(e).outlineStyle")
    assert outline == "solid"


def test_it_updates_itself_and_leaves_the_keyboard_where_it_is(stage: Stage) -> None:
    """Without a reload; what changes for the worse is told to whoever only listens."""
    scene = stage.scene
    stage.show(scene.standing([scene.fine("ci"), scene.fine("csi")]))
    page = stage.open()
    expect(page.locator("#summary")).to_contain_text("All 2 credentials are fine")
    page.get_by_role("button", name="csi").focus()
    stage.show(scene.standing([scene.stuck("ci"), scene.fine("csi")]))
    stage.look(page)
    expect(page.locator("#summary")).to_contain_text("1 credential of 2 needs a person")
    expect(page.locator("#news")).to_contain_text("1 credential of 2 needs a person")
    expect(page.locator("[data-name=ci]")).to_contain_text("Locked out")
    assert focused(page) == "Credential csi"


def test_a_service_that_has_stopped_is_shown_as_such(stage: Stage) -> None:
    """What was known stays, and it is said how old it is."""
    stage.show(stage.scene.mixed())
    page = stage.open()
    expect(page.locator("#heard")).to_contain_text("Live, last heard")
    stage.house.servers.pop().close()
    stage.look(page)
    expect(page.locator("#heard")).to_contain_text("No answer; last heard")
    expect(page.locator("#notices")).to_contain_text("The service does not answer.")
    expect(page.locator("#news")).to_have_text("The service does not answer")
    expect(page.locator("[data-name=legacy]")).to_be_visible()
    assert [it for it in stage.complaints if "ERR_CONNECTION_REFUSED" not in it] == []
    stage.complaints.clear()


def test_ten_thousand_are_drawn_and_filtered_in_a_tenth_of_a_second(stage: Stage) -> None:
    """Of each word half of the times; measured in the browser from the key to the new layout."""
    stage.show(stage.scene.crowd(10_000))
    page = stage.open()
    expect(page.locator("#count")).to_have_text("10,000")
    expect(page.get_by_role("grid")).to_have_attribute("aria-rowcount", "10001")
    words = ["ci", "9", "grafana 00", "terraform lab", "no such", "", "zabbix-09", "x", "locked", ""]
    times = [page.evaluate(FILTER, words) for _ in range(3)]
    assert min(times) < 100, times
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    expect(page.locator("[aria-rowindex='10001']")).to_be_in_viewport()
    assert len(names(page)) < 60
    page.get_by_label("Find").fill("zabbix-09996")
    expect(page.locator("[data-name=zabbix-09996]")).to_be_visible()


@pytest.mark.parametrize("settings", [{}, DARK, PHONE], ids=["light", "dark", "phone"])
def test_everybody_can_use_it(stage: Stage, settings: dict[str, Any]) -> None:
    """Nothing grave is found by axe: in the page, and in what lies over it."""
    stage.show(stage.scene.refused())
    page = stage.open(bypass_csp=True, **settings)
    expect(page.locator("#count")).to_have_text("16")
    assert findings(page) == []
    page.get_by_label("Find").fill("legacy")
    page.get_by_role("button", name="legacy").click()
    expect(page.get_by_role("dialog")).to_contain_text("rotate explain not-adopted")
    assert findings(page, "dialog[open]") == []


def test_on_a_phone_nothing_is_cut_off(stage: Stage) -> None:
    """Nobody scrolls sideways, also with large letters, and each credential is a card."""
    stage.show(stage.scene.mixed())
    page = stage.open(**PHONE)
    expect(page.locator("#count")).to_have_text("16")
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    card = page.locator(".body .row").first
    for text in ("legacy", "Needs a person", "not-adopted", "retry in 4"):
        expect(card).to_contain_text(text)
    short = ".body .in-next .line:first-child, .body .badge, .body .in-age .line"
    assert (
        page.locator(short).evaluate_all(
            "all => all.filter(e => e.scrollWidth > e.clientWidth).map(e => e.textContent)"
        )
        == []
    )
    page.locator("html").evaluate("e => { e.style.fontSize = '150%'; }")
    assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_the_theme_is_the_systems_until_somebody_chooses(stage: Stage) -> None:
    """The choice is kept."""
    page = stage.open(**DARK)
    ground = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(ground) == "rgb(15, 19, 24)"
    page.get_by_role("button", name="Theme: automatic").click()
    assert page.evaluate(ground) == "rgb(246, 247, 249)"
    page.reload()
    expect(page.get_by_role("button", name="Theme: light")).to_be_visible()
    assert page.evaluate(ground) == "rgb(246, 247, 249)"
    page.get_by_role("button", name="Theme: light").click()
    assert page.evaluate(ground) == "rgb(15, 19, 24)"


def test_who_wants_no_motion_sees_none(stage: Stage) -> None:
    """Not even the dot breathes."""
    page = stage.open(reduced_motion="reduce")
    assert page.evaluate("document.getAnimations().length") == 0

"""Debian's Chromium, one for all tests of a process, and a service behind the page whose standing a test sets."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Playwright, expect, sync_playwright

from rotator.clock import SystemClock
from rotator.service.gauges import Metrics
from rotator.service.health import Pulse
from rotator.service.server import Server
from rotator.service.service import Service
from rotator.service.sheet import REST
from rotator.service.standing import Standing
from rotator.settings import ListenSettings
from tests.service.house import LOOPBACK, House
from tests.service.world import Street
from tests.system.page.scene import Scene

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE = 15_000
"""Milliseconds that a test waits for something to appear."""


@dataclass
class Stage:
    """A page and what is behind it."""

    house: House
    browser: Browser
    closing: ExitStack
    scene: Scene = field(default_factory=Scene)
    complaints: list[str] = field(default_factory=list)
    """What the console of every page said: above all, what the policy forbade."""

    @property
    def service(self) -> Service:
        """The service; none of its rounds runs by itself."""
        return self.house.service

    def show(self, standing: Standing) -> None:
        """Let everything stand as a test wants it; the next question of a page is answered so."""
        self.house.street.clock.sleep(REST)
        parts = {name: getattr(standing, name) for name in Standing.__slots__}
        self.service.board.set(**parts)

    def look(self, page: Page) -> None:
        """Let a page ask now, as it does when somebody comes back to it."""
        self.house.street.clock.sleep(REST)
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")

    def open(self, path: str = "/", listen: ListenSettings = LOOPBACK, **settings: Any) -> Page:  # noqa: ANN401 - Playwright's
        """Open the page in a browser that nobody has used, as somebody who types its address."""
        return self.visit(self.house.open(listen).replace("127.0.0.1", "localhost") + path, **settings)

    def visit(self, url: str, **settings: Any) -> Page:  # noqa: ANN401 - Playwright's
        """Open an address in a browser that nobody has used."""
        page = self.context(**settings).new_page()
        page.goto(url)
        return page

    def context(self, **settings: Any) -> BrowserContext:  # noqa: ANN401 - Playwright's
        """Make a browser that nobody has used; what its pages complain of is kept."""
        made = self.browser.new_context(**{"viewport": {"width": 1280, "height": 800}, "locale": "en-GB", **settings})
        self.closing.callback(made.close)
        made.set_default_timeout(PATIENCE)
        made.on("console", self._hear)
        made.on("weberror", lambda error: self.complaints.append(str(error.error)))
        return made

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(message.text)


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    """Return what drives browsers."""
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as made:
        yield made


@pytest.fixture(scope="session")
def browser(playwright: Playwright, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Return Chromium with an empty folder of its own."""
    home = tmp_path_factory.mktemp("chromium")
    program = shutil.which("chromium")
    made = playwright.chromium.launch(
        executable_path=program, args=list(FLAGS), env={"HOME": str(home), "XDG_CONFIG_HOME": str(home)}
    )
    yield made
    made.close()


@pytest.fixture
def stage(tmp_path: Path, browser: Browser, watch: Callable[[str], None]) -> Iterator[Stage]:
    """Return a service with one credential on a simulated cluster, and a browser for its page."""
    street = Street(tmp_path)
    street.clock.sleep((datetime.now(UTC) - street.clock.now()).total_seconds())
    street.add("ci")
    for token in street.secrets.values():
        watch(token.secret.reveal())
    service = street.serve()
    servers: list[Server] = []
    with ExitStack() as closing:
        house = House(street, service, Metrics(street.clock.now), Pulse(SystemClock()), closing, servers)
        yield Stage(house, browser, closing)
    for server in servers:
        server.close()


@pytest.fixture
def house(stage: Stage) -> House:
    """Return what is behind the stage, for tests without a browser."""
    return stage.house

"""People at the incident room: each with a browser page of their own, and what they do there.

`MIRR_SCREENSHOTS=DIR` keeps a picture of each page, and a short film of an incident.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Locator, Page

PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 900}
WAIT_MS = 60_000
OPENING_MS = 120_000  # a lab has to be in steady state first


@dataclass(kw_only=True)
class Visitors:
    """Browsers of several people at one server. What they ask of any other server is noted, and so are errors."""

    browser: Browser
    address: str
    outside: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    contexts: list[BrowserContext] = field(default_factory=list)

    def page(self, *, dark: bool = False, size: dict[str, int] | None = None) -> Page:
        """A page of somebody else than all others."""
        context = self.browser.new_context(
            color_scheme="dark" if dark else "light",
            viewport=size or DESK,
            reduced_motion="reduce",
        )
        context.set_default_timeout(WAIT_MS)
        self.contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: self._note(request.url))
        page.on("websocket", lambda socket: self._note(socket.url.replace("ws://", "http://")))
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda line: self.errors.append(line.text) if line.type == "error" else None)
        page.goto(self.address)
        page.wait_for_selector("body[data-ready=yes]")
        return page

    def _note(self, url: str) -> None:
        if not url.startswith((self.address, "data:", "blob:")):
            self.outside.append(url)


@contextmanager
def visiting(browser: Browser, address: str) -> Iterator[Visitors]:
    """Visitors of the server at this address. At the end, none has asked anything of others or met an error."""
    found = Visitors(browser=browser, address=address)
    yield found
    for context in found.contexts:
        context.close()
    assert found.outside == []
    assert found.errors == []


def picture(what: Page | Locator, name: str, *, whole: bool = False) -> None:
    """A picture of a page, or of a part of it."""
    folder = os.environ.get("MIRR_SCREENSHOTS")
    if not folder:
        return
    path = str(Path(folder) / f"{name}.png")
    if whole:
        what.screenshot(path=path, full_page=True)
    else:
        what.screenshot(path=path)


def open_room(visitors: Visitors, *, dark: bool = False) -> tuple[Page, str]:
    """A trainer's page, and the join code of the room."""
    trainer = visitors.page(dark=dark)
    trainer.click("#open")
    trainer.wait_for_selector("#join-code")
    return trainer, trainer.inner_text("#join-code")


def join(visitors: Visitors, code: str, name: str, *, dark: bool = False, size: dict[str, int] | None = None) -> Page:
    """The page of a team that has joined."""
    page = visitors.page(dark=dark, size=size)
    page.fill("#code", code.lower())
    page.fill("#name", name)
    page.click("#join button.main")
    page.wait_for_selector("body[data-role=player]")
    return page


def begin(trainer: Page, incident: str, seed: int | None = None) -> None:
    """Choose an incident and start the round."""
    trainer.wait_for_selector(f"#what option[value='{incident}']", state="attached")
    trainer.select_option("#what", incident)
    if seed is not None:
        trainer.fill("#seed", str(seed))
    trainer.click("[data-lead=choose]")
    trainer.wait_for_selector("[data-lead=start]:enabled")
    trainer.click("[data-lead=start]")


def act(page: Page, selector: str) -> None:
    """Press a button, and wait until its step has passed."""
    before = int(page.get_attribute("body", "data-step") or 0)
    page.click(selector)
    page.wait_for_selector(f"body[data-step='{before + 1}']")


def take_the_lab(page: Page) -> None:
    """Take the turn in a world that all share, and wait until the incident has begun there."""
    page.click("[data-turn]:enabled")
    page.wait_for_selector("body[data-playing=yes] [data-act=wait]:enabled", timeout=OPENING_MS)


def wait_until_over(page: Page) -> None:
    """Wait, step by step, until the incident is over."""
    while page.get_attribute("body", "data-playing") == "yes":
        act(page, "[data-act=wait]")


FILM_SIZE = {"width": 1280, "height": 1400}  # the panel, the graph, the charts
FILM_WIDTH = 800
SHOT_S, LAST_SHOT_S = 1.6, 4.0


@dataclass
class Film:
    """A short film of a page, made of pictures of it. Without a folder for pictures, nothing is taken."""

    shots: list[bytes] = field(default_factory=list)

    def shot(self, page: Page) -> None:
        """One more picture, of the upper part of the page."""
        if os.environ.get("MIRR_SCREENSHOTS"):
            page.wait_for_timeout(200)  # the charts are drawn in the next frame
            self.shots.append(page.screenshot(full_page=True, clip={"x": 0, "y": 0, **FILM_SIZE}))

    def save(self, name: str) -> None:
        """Write it as an animated WebP."""
        folder = os.environ.get("MIRR_SCREENSHOTS")
        if not folder:
            return
        from PIL import Image  # it comes with matplotlib

        height = round(FILM_SIZE["height"] * FILM_WIDTH / FILM_SIZE["width"])
        images = [
            Image.open(io.BytesIO(shot)).convert("RGB").resize((FILM_WIDTH, height), Image.Resampling.LANCZOS)
            for shot in self.shots
        ]
        times_ms = [round(SHOT_S * 1000)] * (len(images) - 1) + [round(LAST_SHOT_S * 1000)]
        images[0].save(
            Path(folder) / f"{name}.webp",
            save_all=True,
            append_images=images[1:],
            duration=times_ms,
            loop=0,
            quality=60,
            method=6,
        )

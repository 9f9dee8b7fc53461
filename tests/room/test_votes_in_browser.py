"""An incident that all teams play by vote, in a browser: on a simulator that they share as they would share the lab."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
import uvicorn

from mirr.cli.postmortem_command import explain
from mirr.room.hall import Hall
from mirr.room.server import ServerConfig, build_app, uvicorn_config
from mirr.room.store import Store
from tests.room.test_rooms import Turns
from tests.room.visitors import Visitors, begin, join, open_room, picture, visiting

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

ENDS_WITHIN_S = 30.0


@contextmanager
def served(hall: Hall) -> Iterator[str]:
    """Serve a hall on a thread of this process: its address."""
    config = ServerConfig()
    with socket.create_server((config.host, 0)) as listener:
        server = uvicorn.Server(uvicorn_config(build_app(hall, config), config))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://{config.host}:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(ENDS_WITHIN_S)
            hall.close()


@pytest.fixture
def sharing(chromium: Browser) -> Iterator[Visitors]:
    with (
        served(Hall(Store(None), explain=explain, source=Turns().source)) as address,
        visiting(chromium, address) as found,
    ):
        yield found


def wait_for_step(page: Page, step: int) -> None:
    page.wait_for_selector(f"body[data-step='{step}'] [data-act=wait]:enabled")


def test_two_teams_play_one_incident_by_vote_and_the_trainer_closes_a_vote(sharing: Visitors) -> None:
    trainer, code = open_room(sharing)
    owls, cats = join(sharing, code, "Owls"), join(sharing, code, "Cats")
    trainer.select_option("#way", "vote")
    trainer.fill("#vote-seconds", "0")  # until all have voted
    begin(trainer, "tier:easy", 16)  # bad_deploy on payments

    wait_for_step(owls, 0)
    assert owls.locator("[data-turn]").is_hidden()
    assert owls.locator("[data-hint]").is_hidden()
    owls.keyboard.press("5")
    owls.keyboard.press("l")
    cats.wait_for_selector(".vote:has-text('Vote: 1 of 2 teams have voted: check_logs(payments) 1.')")
    owls.wait_for_selector(".vote:has-text('Your vote: check_logs(payments).')")
    picture(owls, "vote", whole=True)
    assert owls.get_attribute("body", "data-step") == "0"
    cats.click("[data-act=wait]")
    for page in (owls, cats):
        wait_for_step(page, 1)
        page.wait_for_selector("#says:has-text('step 1: check_logs(payments) was played')")
        page.wait_for_selector(".votes:has-text('votes: check_logs(payments) 1 (Owls); wait 1 (Cats)')")

    owls.click("[data-diagnose=bad_deploy]")
    trainer.wait_for_selector("#lead .vote:has-text('1 of 2 teams have voted: diagnose(payments, bad_deploy) 1.')")
    trainer.click("[data-lead=close_vote]")
    wait_for_step(cats, 2)
    assert cats.inner_text("[data-gauge=score]") == "8.0"
    trainer.click("[data-team='all teams'] button")
    trainer.wait_for_selector(".events [data-action='diagnose(payments, bad_deploy)']")

    cats.close()  # a vote does not wait for who has gone
    owls.click("[data-act=rollback]")
    step = 3
    wait_for_step(owls, step)
    while owls.locator("#board tr[data-name='all teams']").get_attribute("data-state") == "playing":
        owls.click("[data-act=wait]")
        step += 1
        owls.wait_for_selector(f"body[data-step='{step}'][data-busy=no]")
    assert owls.locator("#board tr[data-name='all teams']").get_attribute("data-state") == "resolved"
    owls.wait_for_selector("#board tr[data-name=oracle]", timeout=60_000)
    owls.click("[data-paper=postmortem]")
    owls.wait_for_selector("#paper article:has-text('On call was all teams')")
    owls.click("[data-paper=close]")
    owls.select_option("#tape-one", label="all teams")
    owls.select_option("#tape-two", label="oracle (agent)")
    owls.click("[data-replay=load]")
    owls.wait_for_selector(".side > h3:text-is('all teams in docker')")

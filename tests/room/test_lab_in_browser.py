"""A whole incident on the real lab, played in a browser by two teams in turn, led by a trainer.

`MIRR_SCREENSHOTS=DIR` keeps pictures of it, and a short film.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mirr.env.record import read_rollout
from tests.room.load import server
from tests.room.visitors import (
    Film,
    Visitors,
    act,
    begin,
    join,
    open_room,
    picture,
    take_the_lab,
    visiting,
    wait_until_over,
)

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.docker, pytest.mark.browser]


@pytest.fixture
def at_the_lab(chromium: Browser, real_lab: str, tmp_path: Path) -> Iterator[Visitors]:
    with server(tmp_path, lab=real_lab) as (address, _), visiting(chromium, address) as found:
        yield found


def play_in_turn(visitors: Visitors) -> None:
    """Owls resolve the incident, Cats are stopped in the middle of it, and everybody looks back."""
    trainer, code = open_room(visitors)
    owls = join(visitors, code, "Owls")
    cats = join(visitors, code, "Cats")
    begin(trainer, "tier:easy", 16)  # bad_deploy on payments

    owls.wait_for_selector("[data-turn]:enabled")
    owls.click("[data-turn]")
    cats.wait_for_selector("#phase:has-text('Owls has the lab: it is brought to steady state, then something breaks')")
    assert cats.locator("[data-turn]").is_disabled()
    trainer.wait_for_selector("#board tr[data-name=Owls][data-state=preparing]")
    resolve(owls, trainer)

    take_the_lab(cats)
    cats.click("g[data-service=gateway]")
    act(cats, "[data-act=restart]")
    assert cats.inner_text("[data-gauge=score]") == "-2.0"
    trainer.click("[data-lead=end]")
    trainer.wait_for_selector("#board tr[data-name=Cats][data-state=stopped]")
    trainer.wait_for_selector("#board tr[data-name=oracle]", timeout=60_000)
    board = trainer.locator("#board tbody tr")
    names = [board.nth(row).get_attribute("data-name") for row in range(board.count())]
    assert sorted(map(str, names)) == sorted(["Owls", "Cats", "heuristic", "detective", "trained_lm", "oracle"])
    assert names[-1] == "Cats"
    look_back(owls, trainer)


def resolve(owls: Page, trainer: Page) -> None:
    """Play the incident as somebody who knows how, while the trainer watches."""
    film = Film()
    owls.wait_for_selector("body[data-playing=yes] [data-act=wait]:enabled", timeout=120_000)
    film.shot(owls)
    act(owls, "[data-act=wait]")
    film.shot(owls)
    owls.click("g[data-service=payments]")
    act(owls, "[data-act=check_logs]")
    owls.wait_for_selector(".lines[data-service=payments] .line")
    film.shot(owls)
    act(owls, "[data-diagnose=bad_deploy]")
    owls.wait_for_selector(".alerts [data-alert=HighErrorRatio]")
    assert owls.inner_text("[data-gauge=score]") == "8.0"
    film.shot(owls)
    trainer.click("[data-team=Owls] button >> nth=0")
    trainer.wait_for_selector(".events [data-action='diagnose(payments, bad_deploy)']")
    assert "bad_deploy on payments" in trainer.inner_text("#answer")
    trainer.wait_for_selector("#lead .alerts [data-alert=HighErrorRatio]")  # of the lab's Prometheus
    picture(trainer, "lab-trainer", whole=True)
    picture(owls, "lab-player", whole=True)
    act(owls, "[data-act=rollback]")
    film.shot(owls)
    wait_until_over(owls)
    film.shot(owls)
    film.save("lab-incident")
    assert owls.locator("#board tr[data-name=Owls]").get_attribute("data-state") == "resolved"


def look_back(owls: Page, trainer: Page) -> None:
    """The post-mortem, the record, and the lab beside the simulator."""
    assert "bad_deploy on payments (correct)" in owls.inner_text("#answer")
    owls.click("[data-paper=postmortem]")
    owls.wait_for_selector("#paper article h2")
    assert owls.inner_text("#paper article h2") == "Post-mortem: bad_deploy on payments, seed 16"
    assert "On call was Owls" in owls.inner_text("#paper article")
    owls.click("[data-paper=close]")
    with owls.expect_download() as taken:
        owls.click("[data-paper=record]")
    header = read_rollout(taken.value.path()).header
    assert (header["policy"], header["world"]) == ("Owls", "docker")

    owls.select_option("#tape-one", label="my team")
    owls.select_option("#tape-two", label="oracle (agent)")
    owls.click("[data-replay=load]")
    owls.wait_for_selector(".replay[data-step='0']")
    assert owls.locator(".side > h3").all_inner_texts() == ["Owls in docker", "oracle in sim"]
    for step in (1, 2):
        owls.click(".controls button >> nth=2")
        owls.wait_for_selector(f".replay[data-step='{step}']")
    assert owls.locator(".gap meter").count() == 5
    picture(owls.locator("#replay-card"), "lab-side-by-side")
    trainer.select_option("#tape-one", label="Cats")
    trainer.click("[data-replay=load]")
    trainer.wait_for_selector(".side > h3:text-is('Cats in docker')")


def test_two_teams_play_on_the_lab_in_turn_and_leave_it_as_it_was(at_the_lab: Visitors, real_lab: str) -> None:
    from mirr.bridge.assembly import assemble
    from mirr.bridge.steady import wait_until_steady
    from mirr.chaos.journal import Journal
    from mirr.lab.lock import hold
    from mirr.lab.state import state_dir

    play_in_turn(at_the_lab)
    # Cats were stopped in the middle: what was broken for them is reverted, and nobody holds the lab.
    with hold(real_lab, "pytest"):
        assert Journal(state_dir(real_lab)).open_acts() == []
        wait_until_steady(assemble(real_lab).telemetry, timeout_s=30.0)

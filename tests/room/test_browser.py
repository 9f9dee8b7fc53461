"""A whole incident in a browser: a trainer and two teams, the scoreboard, a replay, and nothing asked of others.

It needs Playwright and Debian's Chromium, and no lab. `MIRR_SCREENSHOTS=DIR` keeps a picture of each page.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from mirr.agents.registry import PolicyName, make_policy
from mirr.env.environment import Environment
from mirr.env.record import RolloutWriter, read_rollout
from mirr.env.rollout import play
from mirr.env.scenario import draw
from mirr.env.simulator.world import SimulatedWorld
from tests.room.load import server
from tests.room.visitors import (
    PHONE,
    Film,
    Visitors,
    act,
    begin,
    join,
    open_room,
    picture,
    wait_until_over,
)

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Dialog, Page

pytestmark = pytest.mark.browser


def test_two_teams_and_a_trainer_play_an_incident_and_look_back(visitors: Visitors) -> None:
    trainer, code = open_room(visitors)
    owls = join(visitors, code, "Owls")
    cats = join(visitors, code, "<b>Cats</b>", dark=True, size=PHONE)
    picture(visitors.page(), "welcome")
    begin(trainer, "tier:easy", 16)  # bad_deploy on payments

    film = Film()
    owls.wait_for_selector("body[data-playing=yes] [data-act=wait]:enabled")
    film.shot(owls)
    act(owls, "[data-act=wait]")
    film.shot(owls)
    owls.click("g[data-service=payments]")
    act(owls, "[data-act=check_logs]")
    film.shot(owls)
    owls.wait_for_selector(".lines[data-service=payments] .line")
    owls.fill("input[type=search]", "no line says this")
    assert owls.locator(".lines .line").count() == 0
    owls.fill("input[type=search]", "1.5.0")
    assert owls.locator(".lines .line").count() >= 1
    assert owls.locator("g[data-service=payments]").get_attribute("data-health") == "bad"
    owls.fill("input[type=search]", "")
    act(owls, "[data-diagnose=bad_deploy]")
    owls.wait_for_selector(".alerts [data-alert=HighErrorRatio][data-service=payments][data-state=firing]")
    film.shot(owls)
    assert owls.locator(".alerts [data-alert=UserErrorBudgetBurnsFastCompressed]").count() == 0
    assert owls.inner_text("[data-gauge=score]") == "8.0"
    picture(owls, "player", whole=True)

    cats.wait_for_selector("body[data-playing=yes]")
    act(cats, "[data-act=restart]")  # of the gateway: needless
    assert cats.inner_text("[data-gauge=score]") == "-2.0"
    picture(cats, "phone")
    assert cats.evaluate("document.documentElement.scrollWidth <= window.innerWidth")

    trainer.click("[data-team=Owls] button >> nth=0")
    trainer.wait_for_selector(".events [data-action='diagnose(payments, bad_deploy)']")
    assert "bad_deploy on payments" in trainer.inner_text("#answer")
    trainer.wait_for_selector(".alerts [data-alert=HighErrorRatio][data-service=payments][data-state=firing]")
    picture(trainer, "trainer", whole=True)

    act(owls, "[data-act=rollback]")
    film.shot(owls)
    while owls.get_attribute("body", "data-playing") == "yes":
        act(owls, "[data-act=wait]")
        film.shot(owls)
    film.save("incident")
    owls.wait_for_selector("#board tr[data-name=oracle]")
    board = owls.locator("#board tbody tr")
    names = [board.nth(row).get_attribute("data-name") for row in range(board.count())]
    assert sorted(str(name) for name in names) == sorted(
        ["Owls", "<b>Cats</b>", "heuristic", "detective", "trained_lm", "oracle"]
    )
    assert owls.locator("#board tr[data-name=Owls]").get_attribute("data-state") == "resolved"
    assert "bad_deploy on payments (correct)" in owls.inner_text("#answer")
    assert cats.locator("#answer").is_hidden()
    assert cats.locator("#board tr[data-agent=yes]").count() == 0

    owls.select_option("#tape-one", label="my team")
    owls.select_option("#tape-two", label="oracle (agent)")
    owls.click("[data-replay=load]")
    owls.wait_for_selector(".replay[data-step='0']")
    owls.click(".controls button >> nth=2")
    owls.click(".controls button >> nth=2")
    owls.wait_for_selector(".replay[data-step='2']")
    owls.click(".controls button >> nth=0")
    owls.wait_for_selector(".replay[data-step='1']")
    assert owls.locator(".side").count() == 2
    assert owls.locator(".gap meter").count() == 5
    picture(owls.locator("#replay-card"), "side-by-side")


def test_a_post_mortem_is_read_printed_and_taken_away(visitors: Visitors) -> None:
    trainer, code = open_room(visitors)
    owls = join(visitors, code, "Owls")
    begin(trainer, "tier:easy", 16)
    owls.wait_for_selector("body[data-playing=yes] [data-act=wait]:enabled")
    assert owls.locator("[data-paper=record]").is_hidden()
    owls.click("g[data-service=payments]")
    act(owls, "[data-diagnose=bad_deploy]")
    act(owls, "[data-act=rollback]")
    wait_until_over(owls)
    owls.click("[data-paper=postmortem]")
    owls.wait_for_selector("#paper article h2")
    assert owls.inner_text("#paper article h2") == "Post-mortem: bad_deploy on payments, seed 16"
    assert "On call was Owls" in owls.inner_text("#paper article")
    picture(owls, "postmortem")
    with owls.expect_download() as taken:
        owls.click("[data-paper=markdown]")
    assert taken.value.suggested_filename == f"postmortem-{code}-1.md"
    assert taken.value.path().read_text().startswith("# Post-mortem: bad_deploy on payments, seed 16\n")
    owls.emulate_media(media="print")
    assert owls.locator("#paper article").is_visible()
    assert not owls.locator("#board, .top, [data-paper=print]").filter(visible=True).count()
    owls.emulate_media(media="screen")
    owls.click("[data-paper=close]")
    assert owls.locator("#paper").is_hidden()
    owls.click("[data-paper=record]")
    owls.wait_for_selector("#says:has-text('a record holds the truth; next: wait until the trainer reveals it')")

    trainer.click("[data-team=Owls] button >> nth=0")
    with trainer.expect_download() as taken:
        trainer.click("[data-paper=record]")
    assert taken.value.suggested_filename == f"episode-{code}-1.jsonl"
    assert read_rollout(taken.value.path()).header["policy"] == "Owls"


def test_an_incident_is_played_with_the_keyboard_alone(visitors: Visitors) -> None:
    page = visitors.page()
    page.focus("#practise")
    page.keyboard.press("Enter")
    page.wait_for_selector("body[data-playing=yes] [data-act=wait]:enabled")
    page.keyboard.press("5")
    page.wait_for_selector("g[data-service=payments][aria-pressed=true]")
    page.keyboard.press("l")
    page.wait_for_selector("body[data-step='1']")
    assert page.locator(".events li").first.get_attribute("data-action") == "check_logs(payments)"
    page.focus("g[data-service=auth]")
    page.keyboard.press("Enter")
    page.wait_for_selector("g[data-service=auth][aria-pressed=true]")


def test_a_record_is_stepped_through_and_an_agent_is_watched(visitors: Visitors, tmp_path: Path) -> None:
    record = tmp_path / "episode.jsonl"
    with RolloutWriter(record) as writer:
        policy = make_policy(PolicyName.ORACLE, draw(16))
        play(Environment(SimulatedWorld()), policy, seed=16, world_name="sim", policy_name="oracle", record=writer)
    trainer, _ = open_room(visitors)
    trainer.wait_for_selector("#watch-agent")
    trainer.select_option("#tape-one", label="a record from a file")
    with trainer.expect_file_chooser() as chosen:
        trainer.click("[data-replay=load]")
    chosen.value.set_files(record)
    trainer.wait_for_selector(".replay[data-step='0']")
    trainer.click(".controls button >> nth=2")
    trainer.wait_for_selector(".replay[data-step='1']")
    assert trainer.inner_text(".doing") == "diagnose(payments, bad_deploy); 8.0 points"
    assert trainer.inner_text(".side h3") == "oracle in sim"

    trainer.fill("#seed", "16")
    trainer.click("[data-replay=play]")
    # A step lasts half a second, and a busy machine may miss one.
    trainer.wait_for_selector(".side h3:text-is('heuristic in sim')")
    trainer.wait_for_selector(".replay:not([data-step='0'], [data-step='1'], [data-step='2'])")
    assert trainer.inner_text(".side h3") == "heuristic in sim"

    trainer.select_option("#watch-agent", "detective")
    trainer.click("[data-replay=play]")
    trainer.wait_for_selector(".side h3:text-is('detective in sim')")
    trainer.click(".controls button >> nth=0")  # back, and it stops
    trainer.fill(".controls input", "0")
    trainer.wait_for_selector(".replay[data-step='0']")
    assert "payments: " in trainer.inner_text(".thoughts")
    trainer.click(".controls button >> nth=2")
    trainer.wait_for_selector(".replay[data-step='1']")
    picture(trainer.locator("#replay-card"), "replay")


def test_a_page_that_lost_its_connection_or_was_loaded_anew_goes_on(visitors: Visitors) -> None:
    trainer, code = open_room(visitors)
    owls = join(visitors, code, "Owls")
    begin(trainer, "pack:workshop-01-first-call")
    owls.wait_for_selector("body[data-playing=yes] [data-act=wait]:enabled")
    act(owls, "[data-act=wait]")
    owls.reload()
    owls.wait_for_selector("body[data-playing=yes][data-step='1']")
    act(owls, "[data-act=wait]")
    assert owls.locator(".events li").count() == 2


def test_a_round_that_is_played_is_not_reset_unless_the_trainer_says_so(visitors: Visitors) -> None:
    trainer, code = open_room(visitors)
    owls = join(visitors, code, "Owls")
    begin(trainer, "tier:easy", 16)
    owls.wait_for_selector("body[data-playing=yes] [data-act=wait]:enabled")
    act(owls, "[data-act=wait]")
    asked: list[str] = []

    def refuse(dialog: Dialog) -> None:
        asked.append(dialog.message)
        dialog.dismiss()

    trainer.once("dialog", refuse)
    trainer.click("[data-lead=choose]")
    act(owls, "[data-act=wait]")
    assert (trainer.get_attribute("body", "data-round"), owls.get_attribute("body", "data-step")) == ("1", "2")
    trainer.once("dialog", lambda dialog: dialog.accept())
    trainer.click("[data-lead=choose]")
    owls.wait_for_selector("body[data-round='2'][data-step='0']")
    assert asked == ["A round is being played. Choosing resets it: what the teams did is lost. Choose all the same?"]


def test_wrong_codes_of_others_make_a_page_wait_and_keep_its_seat(only_visitors: Visitors) -> None:
    _, code = open_room(only_visitors)
    projector = only_visitors.page()
    owls = join(only_visitors, code, "Owls")
    try_wrong_codes = """async () => {
      for (const letter of "23456789ABCD") await new Promise((closed) => {
        const socket = new WebSocket(`ws://${location.host}/ws`);
        socket.onopen = () => socket.send(JSON.stringify({ code: `AAAA-AAA${letter}`, token: null }));
        socket.onclose = closed;
      });
    }"""
    owls.evaluate(try_wrong_codes)
    projector.fill("#code", code)
    projector.click("#look")
    projector.wait_for_selector("body[data-link=limited][data-screen=room]")
    owls.reload()
    owls.wait_for_selector("body[data-role=player][data-link=connected]")


@pytest.mark.parametrize("seat", ["garbage", "7", "null", "[]", '{"code": 7, "token": "x"}', '{"code": "x"}'])
def test_a_link_with_a_seat_that_is_none_leads_to_the_first_screen(visitors: Visitors, seat: str) -> None:
    page = visitors.page()
    page.goto("about:blank")
    page.goto(f"{visitors.address}/#seat={quote(seat)}")
    page.wait_for_selector("body[data-ready=yes][data-screen=welcome]")


def test_a_server_that_was_killed_and_started_again_loses_nothing(chromium: Browser, tmp_path: Path) -> None:
    with server(tmp_path) as (address, process):
        visitors = Visitors(browser=chromium, address=address)
        trainer, code = open_room(visitors)
        owls = join(visitors, code, "Owls")
        begin(trainer, "tier:easy", 16)
        owls.wait_for_selector("body[data-playing=yes] [data-act=wait]:enabled")
        owls.click("g[data-service=payments]")
        act(owls, "[data-act=check_logs]")
        act(owls, "[data-diagnose=bad_deploy]")
        process.kill()
        process.wait()
        owls.wait_for_selector("body[data-link=lost]")
        assert owls.inner_text("#link") == "connection lost; it comes back by itself"
        owls.click("[data-act=rollback]")  # it waits for the connection, and is done once
        with server(tmp_path, int(address.rpartition(":")[2])):
            owls.wait_for_selector("body[data-link=connected][data-step='3']")
            assert [each.get_attribute("data-action") for each in owls.locator(".events li").all()] == [
                "rollback(payments)",
                "diagnose(payments, bad_deploy)",
                "check_logs(payments)",
            ]
            assert owls.inner_text("[data-gauge=score]") == "18.0"
            trainer.wait_for_selector("body[data-link=connected]")
            trainer.wait_for_selector("#board tr[data-name=Owls] td:text-is('18.0')")
            act(owls, "[data-act=wait]")
            for context in visitors.contexts:
                context.close()
    assert visitors.outside == []
    assert [error for error in visitors.errors if "ERR_CONNECTION_REFUSED" not in error] == []


def test_the_page_is_small(visitors: Visitors) -> None:
    page = visitors.page()
    sizes = page.evaluate("performance.getEntriesByType('resource').map((each) => each.transferSize)")
    assert len(sizes) <= 8
    assert sum(sizes) < 150_000


@pytest.mark.parametrize("dark", [False, True])
def test_axe_finds_nothing_serious(visitors: Visitors, dark: bool) -> None:
    axe = axe_source()
    page = visitors.page(dark=dark)
    found = {"welcome": serious(page, axe)}
    page.click("#practise")
    page.wait_for_selector("body[data-playing=yes] [data-act=wait]:enabled")
    page.click("g[data-service=payments]")
    act(page, "[data-act=check_logs]")
    found["player"] = serious(page, axe)
    trainer, code = open_room(visitors, dark=dark)
    owls = join(visitors, code, "Owls", dark=dark)
    begin(trainer, "tier:easy", 16)
    owls.wait_for_selector("body[data-playing=yes] [data-act=wait]:enabled")
    owls.click("g[data-service=payments]")
    for selector in ("[data-diagnose=bad_deploy]", "[data-act=rollback]"):
        act(owls, selector)
    trainer.click("[data-team=Owls] button >> nth=0")
    trainer.wait_for_selector(".alerts [data-alert]")
    found["trainer"] = serious(trainer, axe)
    wait_until_over(owls)
    owls.wait_for_selector("#board tr[data-name=oracle]")
    owls.select_option("#tape-two", label="oracle (agent)")
    owls.click("[data-replay=load]")
    owls.wait_for_selector(".replay[data-step='0']")
    owls.click("[data-paper=postmortem]")
    owls.wait_for_selector("#paper article h2")
    found["looking back"] = serious(owls, axe)
    assert {name: findings for name, findings in found.items() if findings} == {}


def axe_source() -> str:
    """The script of axe-core, as the package for Playwright brings it; the test is skipped without it."""
    package = find_spec("axe_playwright_python")
    if package is None or package.origin is None:
        pytest.skip("needs axe-core: pip install axe-playwright-python")
    return (Path(package.origin).parent / "axe.min.js").read_text()


def serious(page: Page, axe: str) -> list[str]:
    """The serious findings of axe. It is run by the test, since the page itself may run nothing from elsewhere."""
    page.evaluate(axe + "; null")
    violations = page.evaluate("axe.run().then((result) => result.violations)")
    return [
        f"{each['id']}: {node['html'][:160]} {node['failureSummary'][:200]}"
        for each in violations
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"][:3]
    ]

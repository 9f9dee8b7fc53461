"""Tests of the tools with a client in the same process."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mirr.agents.registry import PolicyName, make_policy
from mirr.chaos.journal import Journal
from mirr.env.environment import Environment
from mirr.env.rollout import play
from mirr.env.scenario import Scenario, draw
from mirr.env.simulator.world import SimulatedWorld
from mirr.env.vocabulary import ALL_FAULTS, Fault, action_text
from mirr.env.world import World
from mirr.interfaces.mcp_server.desk import Desk
from mirr.interfaces.mcp_server.exam import Exam, ExamConfig, Question
from mirr.scenarios.packs import PACK_CONFIG, all_packs
from tests.fakes.assembly import fake_docker_world
from tests.fakes.clock import FakeClock
from tests.fakes.lab import FakeLab
from tests.interfaces.mcp.player import call, play_by_tools, refused, structured, text_of
from tests.paths import ROOT
from tests.trials import first_is_quick

if TYPE_CHECKING:
    from fastmcp import Client

FAULT = Fault.parse("bad_deploy:orders")

Visit = Callable[["Client[Any]"], Coroutine[Any, Any, None]]


@contextmanager
def simulated() -> Iterator[World]:
    yield SimulatedWorld()


def visit(
    body: Visit,
    scenarios: Sequence[Scenario] = (),
    config: ExamConfig | None = None,
    *,
    lists: bool = False,
    prefix: str = "",
    world: World | None = None,
) -> Exam:
    """Runs `body` with a client of a new server. The episode ids are `0`, `1` and so on. Without a `world`, each is
    played on a new simulator."""
    from fastmcp import Client

    from mirr.interfaces.mcp_server.server import build_server

    numbers = iter(range(10**6))
    exam = Exam(
        [Question(scenario=scenario, symptom="Something is wrong.") for scenario in scenarios or [draw(3, FAULT)]],
        config or ExamConfig(),
        open_world=simulated if world is None else lambda: nullcontext(world),
        new_id=lambda: str(next(numbers)),
        say=lambda text: None,
    )

    async def talk() -> None:
        desk = Desk()
        async with Client(build_server(exam, desk, lists_episodes=lists, prefix=prefix)) as client:
            await body(client)
        desk.close(exam.close)

    asyncio.run(talk())
    return exam


@pytest.mark.parametrize("seed", first_is_quick(range(6)))
def test_an_episode_through_the_tools_is_the_same_as_a_direct_one(seed: int) -> None:
    scenario = draw(seed)
    direct = play(Environment(SimulatedWorld()), make_policy(PolicyName.HEURISTIC, scenario), scenario=scenario)

    async def body(client: Client[Any]) -> None:
        answer, actions = await play_by_tools(client, "0")
        assert actions == [action_text(move.action) for move in direct.trajectory]
        assert answer["ending"]["outcome"] == direct.report.outcome
        assert answer["ending"]["total_reward"] == pytest.approx(direct.report.total_reward)

    exam = visit(body, [scenario])
    assert exam.results()[0].report == direct.report


@pytest.mark.parametrize("pack", first_is_quick(all_packs()), ids=lambda pack: pack.id)
def test_packs_use_the_same_tools_and_the_tool_diagnose_none(pack: Any) -> None:
    async def body(client: Client[Any]) -> None:
        assert "diagnose_none" in [tool.name for tool in await client.list_tools()]
        answer, _ = await play_by_tools(client, "0")
        assert answer["ending"]["outcome"] in ("resolved", "exhausted", "collapsed")

    visit(body, [pack.scenario()], ExamConfig(episode=PACK_CONFIG))


def test_there_is_a_tool_for_each_action_and_no_tool_that_resets() -> None:
    async def body(client: Client[Any]) -> None:
        tools = {tool.name: tool for tool in await client.list_tools()}
        assert list(tools) == [
            "read_metrics",
            "status",
            "wait",
            "check_logs",
            "diagnose",
            "restart",
            "rollback",
            "scale_up",
        ]
        hints = {name: tool.annotations for name, tool in tools.items() if tool.annotations is not None}
        assert [name for name, hint in hints.items() if hint.readOnlyHint] == ["read_metrics", "status"]
        assert [name for name, hint in hints.items() if hint.destructiveHint] == ["restart", "rollback"]
        assert all(tool.outputSchema is not None for tool in tools.values())
        assert await client.list_resources() == []
        assert await client.list_prompts() == []

    visit(body)


@pytest.mark.thorough
def test_everything_readable_before_the_start_is_the_same_for_every_fault() -> None:
    readable = set()
    for fault in ALL_FAULTS:

        async def body(client: Client[Any]) -> None:
            tools = [tool.model_dump(mode="json") for tool in await client.list_tools()]
            status = await call(client, "status", {"episode_id": "0"})
            errors = [
                await refused(client, "wait", {"episode_id": "9"}),
                await refused(client, "reset", {"episode_id": "0"}),
                await refused(client, "diagnose", {"episode_id": "0", "service": "all", "mode": "any"}),
            ]
            assert client.initialize_result is not None
            visible = [client.initialize_result.model_dump(mode="json"), tools, status, errors]
            readable.add(json.dumps(visible))

        visit(body, [draw(3, fault)])
    assert len(readable) == 1


def test_free_tools_cost_no_step() -> None:
    async def body(client: Client[Any]) -> None:
        first = await call(client, "read_metrics", {"episode_id": "0"})
        assert await call(client, "read_metrics", {"episode_id": "0"}) == first
        assert await call(client, "status", {"episode_id": "0"}) == first
        waited = await call(client, "wait", {"episode_id": "0"})
        assert (first["step"], waited["step"], waited["steps_left"], waited["time_s"]) == (0, 1, 29, 2.0)

    visit(body)


def test_the_times_of_a_player_that_thinks_for_90_s_count_them_as_those_of_every_other_agent(tmp_path: Path) -> None:
    clock = FakeClock()
    world = fake_docker_world(FakeLab(clock), Journal(tmp_path, now=clock.now))
    fault = Fault.parse("crashed:payments")

    async def body(client: Client[Any]) -> None:
        whole = {"episode_id": "0"}
        await call(client, "read_metrics", whole)
        clock.sleep(90.0)
        named = await call(client, "diagnose", {**whole, "service": "payments", "mode": "crashed"})
        assert named["time_s"] == pytest.approx(92.0, abs=0.1)
        answer = await call(client, "restart", {**whole, "service": "payments"})
        while answer["state"] != "over":
            answer = await call(client, "wait", whole)
        ending = answer["ending"]
        assert (ending["outcome"], ending["steps_to_diagnose"]) == ("resolved", 0)
        assert ending["time_to_diagnose_s"] == pytest.approx(90.0, abs=0.1)
        assert ending["time_to_mitigate_s"] == pytest.approx(90.0 + 2.0 * ending["steps_to_mitigate"], abs=0.1)
        assert ending["objective_lost_s"] == pytest.approx(ending["time_to_mitigate_s"], abs=0.1)

    visit(body, [draw(3, fault)], world=world)


def test_reading_a_log_costs_a_step() -> None:
    async def body(client: Client[Any]) -> None:
        answer = await call(client, "check_logs", {"episode_id": "0", "service": "orders"})
        assert (answer["step"], answer["logs_of"]) == (1, "orders")
        assert any("release=1.5.0" in line["text"] for line in answer["logs"])

    visit(body)


def test_ids_are_listed_only_with_the_option_for_it() -> None:
    async def listed(client: Client[Any]) -> None:
        await call(client, "wait", {"episode_id": "1"})
        assert await call(client, "list_episodes", {}) == {
            "episodes": [{"episode_id": "0", "state": "waiting"}, {"episode_id": "1", "state": "running"}]
        }

    visit(listed, [draw(1), draw(2)], lists=True)

    async def unlisted(client: Client[Any]) -> None:
        assert await refused(client, "list_episodes", {}) == (
            "there is no tool 'list_episodes'; the tools are read_metrics, status, wait, check_logs, diagnose, "
            "restart, rollback, scale_up"
        )

    visit(unlisted)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("wait", {}, "wait: episode_id: Missing required argument"),
        ("wait", {"episode_id": 5}, "wait: episode_id: Input should be a valid string"),
        ("wait", {"episode_id": "0", "seed": 7}, "wait: seed: Unexpected keyword argument"),
        ("wait", {"episode_id": "7" * 65}, "wait: episode_id: String should have at most 64 characters"),
        (
            "restart",
            {"episode_id": "0", "service": "cellar"},
            "restart: service: Input should be 'gateway', 'auth', 'inventory', 'orders' or 'payments'",
        ),
        (
            "diagnose",
            {"episode_id": "0", "service": "auth", "mode": ["crashed"]},
            "diagnose: mode: Input should be 'crashed', 'memory_leak', 'overloaded' or 'bad_deploy'",
        ),
        (
            "diagnose_none",
            {"episode_id": "0"},
            "there is no tool 'diagnose_none'; the tools are read_metrics, status, wait, check_logs, diagnose, "
            "restart, rollback, scale_up",
        ),
    ],
)
def test_a_wrong_call_gets_a_one_sentence_error_and_costs_no_step(
    name: str, arguments: dict[str, Any], message: str
) -> None:
    async def body(client: Client[Any]) -> None:
        assert await refused(client, name, arguments) == message
        assert (await call(client, "status", {"episode_id": "0"}))["state"] == "waiting"

    visit(body)


@pytest.mark.parametrize(
    ("name", "more"),
    first_is_quick(
        [
            ("wait", {}),
            ("check_logs", {"service": "auth"}),
            ("diagnose", {"service": "auth", "mode": "crashed"}),
            ("diagnose_none", {}),
            ("restart", {"service": "auth"}),
            ("rollback", {"service": "auth"}),
            ("scale_up", {"service": "auth"}),
        ]
    ),
)
def test_a_call_that_is_repeated_with_its_request_id_acts_once(name: str, more: dict[str, Any]) -> None:
    async def body(client: Client[Any]) -> None:
        arguments = {"episode_id": "0", "request_id": "mine", **more}
        first, second = await asyncio.gather(call(client, name, arguments), call(client, name, arguments))
        assert first == second
        assert (await call(client, "status", {"episode_id": "0"}))["step"] == 1

    visit(body, config=ExamConfig(episode=PACK_CONFIG))


def test_a_call_that_timed_out_and_is_repeated_with_its_request_id_acts_once() -> None:
    async def body(client: Client[Any]) -> None:
        arguments = {"episode_id": "0", "service": "auth", "request_id": "mine"}
        given_up = asyncio.create_task(call(client, "restart", arguments))
        await asyncio.sleep(0)
        given_up.cancel()
        assert (await call(client, "restart", arguments))["step"] == 1
        assert (await call(client, "wait", {"episode_id": "0"}))["step"] == 2

    visit(body)


def test_a_prefix_begins_the_name_of_every_tool() -> None:
    async def body(client: Client[Any]) -> None:
        assert [tool.name for tool in await client.list_tools()] == [
            "lab_read_metrics",
            "lab_status",
            "lab_wait",
            "lab_check_logs",
            "lab_diagnose",
            "lab_restart",
            "lab_rollback",
            "lab_scale_up",
            "lab_list_episodes",
        ]
        assert (await call(client, "lab_wait", {"episode_id": "0"}))["step"] == 1
        assert (await refused(client, "wait", {"episode_id": "0"})).startswith(
            "there is no tool 'wait'; the tools are lab_read_metrics, lab_status, lab_wait, "
        )
        assert client.initialize_result is not None
        assert "lab_read_metrics and lab_status cost nothing" in (client.initialize_result.instructions or "")

    visit(body, lists=True, prefix="lab_")


def test_every_action_is_refused_after_the_end() -> None:
    async def body(client: Client[Any]) -> None:
        ended, _ = await play_by_tools(client, "0")
        for name, more in (("wait", {}), ("restart", {"service": "auth"}), ("check_logs", {"service": "auth"})):
            assert await refused(client, name, {"episode_id": "0", **more}) == (
                "episode 0 is over, nothing can be done in it; next: status tells how it went"
            )
        assert await call(client, "read_metrics", {"episode_id": "0"}) == ended

    visit(body)


@pytest.mark.thorough
def test_simultaneous_episodes_do_not_disturb_each_other() -> None:
    count = 30

    async def body(client: Client[Any]) -> None:
        played = await asyncio.gather(*(play_by_tools(client, str(number)) for number in range(count)))
        assert all(answer["ending"]["outcome"] == "resolved" for answer, _ in played)

    exam = visit(body, [draw(number) for number in range(count)])
    assert len(exam.results()) == count


@pytest.mark.thorough
def test_simultaneous_calls_on_one_episode_run_one_after_the_other() -> None:
    async def body(client: Client[Any]) -> None:
        answers = await asyncio.gather(
            *(client.call_tool("wait", {"episode_id": "0"}, raise_on_error=False) for _ in range(40))
        )
        steps = [structured(each)["step"] for each in answers if not each.is_error]
        assert sorted(steps) == list(range(1, len(steps) + 1))
        assert 3 <= len(steps) <= 30
        assert {text_of(each) for each in answers if each.is_error} == {
            "episode 0 is over, nothing can be done in it; next: status tells how it went"
        }

    visit(body)


def test_the_documentation_names_every_tool() -> None:
    page = (ROOT / "docs" / "mcp.md").read_text(encoding="utf-8")
    rows = [row.split("|")[1] for row in page.splitlines() if row.startswith("| `")]
    documented = [name.strip().strip("`") for row in rows for name in row.split(",")]

    async def body(client: Client[Any]) -> None:
        assert sorted(tool.name for tool in await client.list_tools()) == sorted(documented)

    visit(body, config=ExamConfig(episode=PACK_CONFIG), lists=True)

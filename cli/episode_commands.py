"""`mirr episode`, `evaluate`, `compare` and `demo`: they play in either world.

Heavy modules are imported inside the functions that need them, so that `mirr --help` stays quick.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mirr.cli.interrupts import LEFT_HALF_DONE
from mirr.cli.options import JsonOption, LabOption, MachineOption, TierOption
from mirr.cli.playing import Played, Player
from mirr.cli.worlds import WorldName, chosen_machine, open_world, parse_world

if TYPE_CHECKING:
    from mirr.env.environment import Observation
    from mirr.env.evaluation import Statistics
    from mirr.env.rollout import EpisodeResult, Move, OnStep
    from mirr.env.scenario import Scenario
    from mirr.env.vocabulary import Tier
    from mirr.scenarios.packs import Pack

BAD_NEWS, WORLD_FAILED, INTERRUPTED = 1, 3, 130
DEMO_SEEDS = 1000
MOST_EPISODES = 1_000_000  # in one command: each is drawn before the first is played
HEADINGS = {
    "success_rate": "success",
    "clean_rate": "clean",
    "diagnosis_accuracy": "diagnosed",
    "mean_reward": "reward",
    "mean_steps": "steps",
    "mean_time_to_mitigate_s": "mitigated s",
    "mean_failed_requests": "failed req",
}
RATES = ("success_rate", "clean_rate", "diagnosis_accuracy")

WorldOption = Annotated[str, typer.Option("--world", help="Where to play: sim or docker.")]
PolicyOption = Annotated[
    str, typer.Option("--policy", help="Who plays, as in heuristic, oracle or random. An unknown name lists them all.")
]
PoliciesOption = Annotated[list[str], typer.Option("--policy", help="Who plays. It may be given more than once.")]
FaultOption = Annotated[
    str | None, typer.Option("--fault", help="MODE[/FORM][@SEVERITY]:SERVICE, in place of the seed's fault.")
]
ScenarioOption = Annotated[
    Path | None, typer.Option("--scenario", help="Play this scenario pack, as in scenarios/two-in-turn.yaml.")
]
PackSeedOption = Annotated[
    int | None, typer.Option("--seed", help="Chooses the scenario. Default: 0, or the pack's own.")
]
SeedOption = Annotated[int, typer.Option("--seed", help="Chooses the scenario, the same in both worlds.")]
EpisodesOption = Annotated[
    int, typer.Option("--episodes", min=1, max=MOST_EPISODES, help="How many episodes. Their seeds begin at --seed.")
]
RecordsOption = Annotated[
    Path | None, typer.Option("--record", help="Write a record of each episode into this folder, as JSON lines.")
]
RecordOption = Annotated[
    Path | None, typer.Option("--record", help="Write a record of the episode to this file, as JSON lines.")
]
OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Replace records that exist already.")]
PaceOption = Annotated[
    float | None,
    typer.Option(
        "--pace", min=0.0, max=3600.0, help="Seconds between steps on the simulator (default: 1 to a terminal)."
    ),
]


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    for command in (episode, evaluate, compare, demo):
        app.command()(command)


def _player(world: str, policy: str, machine: str) -> Player:
    from mirr.agents.brought import parse_agent, refuse_unready

    where = parse_world(world)
    player = Player(where, parse_agent(policy), chosen_machine(machine, where))
    refuse_unready(player.policy)  # before a lab is opened
    return player


def _scenario(seed: int, fault: str | None, tier: str | None) -> Scenario:
    """The seed's scenario in a tier, with this fault if one is given. Raises before anything is opened if one of them
    is invalid."""
    from mirr.env.scenario import draw
    from mirr.env.vocabulary import Fault

    return draw(seed, None if fault is None else Fault.parse(fault), _tier(tier))


def _tier(name: str | None) -> Tier:
    from mirr.env.vocabulary import Tier, parse_tier

    return Tier.EASY if name is None else parse_tier(name)


def _pack(path: Path) -> Pack:
    from mirr.scenarios.packs import load_pack

    return load_pack(path)


def _requested(path: Path | None, seed: int | None, fault: str | None, tier: str | None) -> Scenario:
    """The scenario of a pack, or the scenario of a seed, a fault and a tier."""
    from mirr.env.scenario import checked_seed

    if path is None:
        return _scenario(0 if seed is None else seed, fault, tier)
    _refuse_tier(tier)
    if fault is not None:
        raise typer.BadParameter("--scenario says what breaks; --fault cannot be given with it.")
    return _pack(path).scenario(None if seed is None else checked_seed(seed))


def _refuse_tier(tier: str | None) -> None:
    """A pack is of no tier."""
    if tier is not None:
        raise typer.BadParameter("--scenario says what happens; --tier cannot be given with it.")


def episode(
    world: WorldOption = "sim",
    policy: PolicyOption = "heuristic",
    fault: FaultOption = None,
    seed: PackSeedOption = None,
    tier: TierOption = None,
    scenario: ScenarioOption = None,
    record: RecordOption = None,
    overwrite: OverwriteOption = False,
    machine: MachineOption = "reference",
    lab: LabOption = "mirr",
    as_json: JsonOption = False,
) -> None:
    """Play one episode and print how it ended."""
    from mirr.env.record import RolloutWriter, refuse_existing

    player, wanted = _player(world, policy, machine), _requested(scenario, seed, fault, tier)
    if record is not None and not os.path.isdir(record.parent):
        raise typer.BadParameter(f"--record {record}: there is no directory {record.parent}.")
    if record is not None and not overwrite:
        refuse_existing(record, "the record", "--record FILE")  # before the lab is opened
    with (
        open_world(player.world, lab, what="mirr episode", machine=player.machine) as opened,
        nullcontext() if record is None else RolloutWriter(record, overwrite=overwrite) as writer,
    ):
        result = player.play_in(opened, wanted, record=writer, on_step=_step_printer(player.world))
    if as_json:
        print(json.dumps(result.to_json(), indent=2))
    else:
        from mirr.cli.watching import trajectory_text

        print(trajectory_text(result))
    _exit_if_void([result])
    _exit_if_lost_whole(player, result)


def evaluate(
    world: WorldOption = "sim",
    policy: PoliciesOption = ["heuristic"],  # noqa: B006 - only read, never changed
    episodes: EpisodesOption = 20,
    seed: SeedOption = 0,
    tier: TierOption = None,
    scenario: ScenarioOption = None,
    record: RecordsOption = None,
    overwrite: OverwriteOption = False,
    machine: MachineOption = "reference",
    lab: LabOption = "mirr",
    as_json: JsonOption = False,
) -> None:
    """Play many episodes, and print how often, how fast and at what cost they were resolved.

    With a scenario pack, every seed plays that pack, with other users and other noise. Several policies play the same
    episodes, on the lab in turn. With --record, the same command again goes on where it was stopped. Exits 1 if an
    agent lost every step: then the figures say nothing about it.
    """
    from mirr.cli.evaluating import evaluate as play_all

    players = [replace(_player(world, name, machine), records=record) for name in _each_once(policy)]
    if scenario is not None:
        _refuse_tier(tier)
    scenarios = _many(seed, episodes, tier, None if scenario is None else _pack(scenario))
    played = play_all(players, lab, scenarios, overwrite=overwrite)
    _print_evaluations(players, played, episodes, seed, as_json=as_json)
    for player, each in zip(players, played, strict=False):
        player.say_what_was_lost(each.results)
    results = [result for each in played for result in each.results]
    if played[-1].interrupted:
        on_lab = lab if players[0].world is WorldName.DOCKER else None
        _exit_interrupted(len(results), episodes * len(players), on_lab=on_lab)
    _exit_if_void(results)
    _exit_if_all_was_lost(*(each.results for each in played))


def _each_once(policies: list[str]) -> list[str]:
    """The policies, or an error if one is named twice."""
    from mirr.env.quoting import quoted

    for name in policies:
        if policies.count(name) > 1:
            raise typer.BadParameter(f"--policy {quoted(name)} is given twice; each policy plays once.")
    return policies


def _print_evaluations(players: list[Player], played: list[Played], episodes: int, seed: int, *, as_json: bool) -> None:
    """One policy is one answer. Several are a table of answers."""
    from mirr.env.evaluation import evaluation

    # A policy that has not begun has no answer.
    answers = {
        player.policy: evaluation(player.world_name, player.policy, each.results) | _partial(each, episodes)
        for player, each in zip(players, played, strict=False)
    }
    if as_json:
        alone = answers[players[0].policy]
        print(json.dumps(alone if len(players) == 1 else {"policies": answers}, indent=2))
        return
    for answer, each in zip(answers.values(), played, strict=True):
        if each.results:
            of = "" if answer["tier"] is None else f" ({answer['tier']})"
            count = f"{len(each.results)} of {episodes}" if each.interrupted else str(episodes)
            print(
                f"{answer['policy']} in {answer['world']}: {count} episodes from seed {seed}{of}, "
                f"{answer['void']} void{_mark(each)}"
            )
            print(_table({"overall": answer["overall"], **_rows(answer["by_mode"])}))


def _partial(played: Played, episodes: int) -> dict[str, object]:
    """The fields that mark an answer as partial; none if everything was played."""
    return {"partial": True, "asked": episodes} if played.interrupted else {}


def _mark(played: Played) -> str:
    return " (partial: interrupted)" if played.interrupted else ""


def _exit_interrupted(played: int, episodes: int, *, on_lab: str | None) -> None:
    from mirr.lab.hints import for_lab

    more = "" if on_lab is None else f"; {for_lab(LEFT_HALF_DONE, on_lab)}"
    print(f"mirr: interrupted after {played} of {episodes} episodes{more}", file=sys.stderr)
    raise typer.Exit(INTERRUPTED)


def _many(seed: int, episodes: int, tier: str | None, pack: Pack | None = None) -> list[Scenario]:
    """The scenarios of `episodes` seeds. The first seed is `seed`."""
    from mirr.env.scenario import checked_seed

    seeds = range(checked_seed(seed), seed + episodes)
    return [_scenario(each, None, tier) if pack is None else pack.scenario(each) for each in seeds]


def compare(
    policy: PoliciesOption,
    episodes: EpisodesOption = 10,
    seed: SeedOption = 0,
    tier: TierOption = None,
    machine: MachineOption = "reference",
    lab: LabOption = "mirr",
    as_json: JsonOption = False,
) -> None:
    """Play the same episodes in both worlds, and print how far apart the results are."""
    from mirr.env.evaluation import comparison

    scenarios = _many(seed, episodes, tier)
    players = {
        name: (_player(WorldName.SIM, name, machine), _player(WorldName.DOCKER, name, "reference")) for name in policy
    }
    answers: dict[str, Statistics] = {}
    finished: list[EpisodeResult] = []
    by_player: list[list[EpisodeResult]] = []
    headings: dict[str, str] = {}
    for name, (in_sim, in_docker) in players.items():
        print(f"{name}: {episodes} episodes in each world", file=sys.stderr)
        docker = in_docker.play_many(lab, scenarios, "mirr compare")
        # What an interrupted lab has not played is not compared.
        sim = in_sim.play_many(lab, scenarios[: len(docker.results)], "mirr compare")
        cut = docker if docker.interrupted else sim
        finished += docker.results
        in_docker.say_what_was_lost(docker.results)
        in_sim.say_what_was_lost(sim.results)
        by_player += [docker.results, sim.results]
        if docker.results:
            answers[name] = comparison(name, sim.results, docker.results) | _partial(cut, episodes)
            last = seed + len(docker.results) - 1
            headings[name] = f"{name}: seeds {seed} to {last} in both worlds{_mark(cut)}"
        if cut.interrupted:
            break
    if as_json:
        print(json.dumps({"policies": answers}, indent=2))
    else:
        for name, answer in answers.items():
            print(headings[name])
            print(_table({side: _rows(answer[side])["overall"] for side in ("sim", "docker", "gap")}))
    if cut.interrupted:
        _exit_interrupted(len(finished), episodes * len(players), on_lab=lab)
    _exit_if_void(finished)
    _exit_if_all_was_lost(*by_player)


def demo(
    world: WorldOption = "sim",
    policy: PolicyOption = "heuristic",
    fault: FaultOption = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Which scenario. Default: a random one.")] = None,
    tier: TierOption = None,
    pace: PaceOption = None,
    machine: MachineOption = "reference",
    lab: LabOption = "mirr",
) -> None:
    """Watch one episode in the terminal."""
    from mirr.cli.watching import Watcher

    player = _player(world, policy, machine)
    chosen = secrets.randbelow(DEMO_SEEDS) if seed is None else seed
    wanted = _scenario(chosen, fault, tier)
    if pace is None:
        pace = 1.0 if sys.stdout.isatty() and player.world is WorldName.SIM else 0.0
    watcher = Watcher(pace_s=pace)
    watcher.opening(player.world_name, player.policy, chosen)
    with open_world(player.world, lab, what="mirr demo", machine=player.machine) as opened:
        result = player.play_in(opened, wanted, on_step=watcher.step)
    watcher.ending(result)
    _exit_if_void([result])
    _exit_if_lost_whole(player, result)


def _exit_if_void(results: list[EpisodeResult]) -> None:
    """Exit with 3 if all episodes are void: then the world has failed."""
    from mirr.env.evaluation import valid

    if results and not valid(results):
        print(f"mirr: void: {results[0].report.reason}", file=sys.stderr)
        raise typer.Exit(WORLD_FAILED)


def _exit_if_lost_whole(player: Player, result: EpisodeResult) -> None:
    """Say why and exit with 1 if an episode has no step that the agent did not lose."""
    from mirr.env.evaluation import lost_every_step

    if lost_every_step([result]):
        player.say_what_was_lost([result])
        raise typer.Exit(BAD_NEWS)


def _exit_if_all_was_lost(*by_player: list[EpisodeResult]) -> None:
    """Exit with 1 if a player has lost every step."""
    from mirr.env.evaluation import lost_every_step

    if any(map(lost_every_step, by_player)):
        raise typer.Exit(BAD_NEWS)


def _step_printer(world: WorldName) -> OnStep | None:
    """On the lab a step takes real seconds, so each is printed to stderr as it ends. None on the simulator."""
    if world is not WorldName.DOCKER:
        return None
    from mirr.env.vocabulary import action_text

    print("bringing the lab to steady state, then breaking it ...", file=sys.stderr, flush=True)

    def print_step(observation: Observation, move: Move | None) -> None:
        what = "broken" if move is None else f"step {observation.step}: {action_text(move.action)}"
        print(what, file=sys.stderr, flush=True)

    return print_step


def _rows(groups: object) -> dict[str, object]:
    return groups if isinstance(groups, dict) else {}


def _table(rows: dict[str, object]) -> str:
    """A table with a line for each group and a column for each figure."""
    lines = [" " * 14 + "".join(heading.rjust(13) for heading in HEADINGS.values())]
    for name, group in rows.items():
        figures = _rows(group)
        cells = (_figure(field, figures) for field in HEADINGS)
        interval = figures.get("success_interval")
        tail = f"   success 95%: {interval[0]:.1%} to {interval[1]:.1%}" if isinstance(interval, list) else ""
        lines.append(name.ljust(14) + "".join(cell.rjust(13) for cell in cells) + tail)
    return "\n".join(lines)


def _figure(field: str, figures: dict[str, object]) -> str:
    value = figures.get(field)
    if not isinstance(value, int | float):
        return "-"
    return f"{value:.1%}" if field in RATES else f"{value:.1f}"

"""`mirr rollouts`: a policy plays on the simulator, and its episodes become a data set for trainers."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mirr.cli.episode_commands import INTERRUPTED, EpisodesOption, PolicyOption, SeedOption
from mirr.cli.options import JsonOption, TierOption

if TYPE_CHECKING:
    from mirr.cli.playing import Player
    from mirr.env.scenario import Scenario
    from mirr.interfaces.rollouts import Episode


def register(app: typer.Typer) -> None:
    """Add this command to the command line."""
    app.command()(rollouts)


def rollouts(
    out: Annotated[Path, typer.Option("--out", help="The folder for the table and its card.")],
    policy: PolicyOption = "heuristic",
    tier: TierOption = None,
    episodes: EpisodesOption = 100,
    seed: SeedOption = 1,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace rollouts that are there already.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Play episodes on the simulator and write them as Parquet with a dataset card, one row an episode.

    Each row has the episode as messages, as a trainer of language models reads it. This needs the extra `records`.
    """
    from mirr import __version__
    from mirr.agents.brought import parse_agent, refuse_unready
    from mirr.bridge.arrow import needed_pyarrow, refuse_large_seed
    from mirr.cli.playing import Player
    from mirr.cli.worlds import WorldName
    from mirr.env.scenario import checked_seed, draw
    from mirr.env.vocabulary import Tier, parse_tier
    from mirr.interfaces.rollouts import About, refuse_filled, write_rollouts

    needed_pyarrow()
    named = Tier.EASY if tier is None else parse_tier(tier)
    player = Player(WorldName.SIM, parse_agent(policy))
    refuse_unready(player.policy)
    if not overwrite:
        refuse_filled(out)
    first = checked_seed(seed)
    refuse_large_seed(first + episodes - 1, "the last episode", "a smaller --seed")
    about = About(
        policy=player.policy,
        tier=named,
        first_seed=first,
        asked=episodes,
        version=__version__,
        command=f"mirr rollouts --policy {player.policy} --tier {named} --episodes {episodes} --seed {first} --out DIR",
    )
    scenarios = [draw(each, tier=named) for each in range(first, first + episodes)]
    written = write_rollouts(_played(player, scenarios), out, about)
    answer = {"out": str(out), "table": str(written.table), "card": str(written.card), "episodes": written.episodes}
    if as_json:
        print(json.dumps(answer | ({"partial": True} if written.episodes < episodes else {}), indent=2))
    else:
        print(f"{written.table}: {written.episodes} episodes; its card is {shlex.quote(str(written.card))}")
    if written.episodes < episodes:
        print(f"mirr: interrupted after {written.episodes} of {episodes} episodes", file=sys.stderr)
        raise typer.Exit(INTERRUPTED)


def _played(player: Player, scenarios: list[Scenario]) -> Iterator[Episode]:
    """The episodes as they are played. Ctrl-C ends them with those that are over."""
    from mirr.cli.counting import counter
    from mirr.cli.worlds import open_world
    from mirr.env.tiers import TIERS
    from mirr.interfaces.rollouts import Episode, Listener

    try:
        with (
            counter(player.world, player.policy, len(scenarios)) as count,
            open_world(player.world, "", what="mirr rollouts") as world,
        ):
            for number, scenario in enumerate(scenarios, start=1):
                assert scenario.tier is not None  # each was drawn from one
                listener = Listener(TIERS[scenario.tier].config)
                result = player.play_in(world, scenario, on_step=listener)
                yield Episode(result=result, messages=listener.messages())
                count.after(result, number)
    except KeyboardInterrupt:
        return

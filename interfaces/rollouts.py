"""Rollouts as a data set for trainers of language models: Parquet, one row an episode, and a dataset card."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mirr.agents.llm.conversation import Conversation, Message
from mirr.bridge.arrow import needed_pyarrow
from mirr.env.environment import Observation
from mirr.env.evaluation import statistics
from mirr.env.record import RecordError
from mirr.env.rollout import EpisodeResult, Move
from mirr.env.scenario import EpisodeConfig
from mirr.env.vocabulary import ACTION_INDEX, Tier, action_text

if TYPE_CHECKING:
    import pyarrow as pa  # type: ignore[import-untyped]  # pyarrow ships no types

TABLE: Final = Path("data", "train-00000-of-00001.parquet")
CARD: Final = Path("README.md")
SCHEMA: Final = "mirr-rollouts"
VERSION: Final = 1
_ROWS_A_GROUP: Final = 500
_SIZES: Final = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
_LARGEST: Final = "1M<n<10M"


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column of the table."""

    name: str
    type: str
    says: str


COLUMNS: Final[tuple[Column, ...]] = (
    Column(name="messages", type="conversation", says="the episode as a conversation: system, then user and assistant"),
    Column(name="actions", type="list of string", says="what the policy did, one action a step"),
    Column(name="action_numbers", type="list of int16", says="the same as numbers of the environment"),
    Column(name="rewards", type="list of double", says="the reward of each step"),
    Column(name="total_reward", type="double", says="their sum"),
    Column(name="steps", type="int32", says="how many steps the episode had"),
    Column(name="outcome", type="string", says="how it ended: resolved, collapsed or exhausted"),
    Column(name="diagnosed", type="bool", says="whether every fault was diagnosed correctly before its fix"),
    Column(name="clean", type="bool", says="whether it was resolved, diagnosed, and without a wrong fix"),
    Column(name="policy", type="string", says="who played"),
    Column(name="world", type="string", says="where: sim is the simulator"),
    Column(name="tier", type="string", says="how hard the incident was"),
    Column(name="seed", type="uint64", says="which incident; with the tier, it is the same everywhere"),
    Column(name="scenario", type="string", says="the truth about the incident, as JSON: do not show it to a model"),
)
"""Every column."""


@dataclass(frozen=True, kw_only=True)
class About:
    """What the card has to say beside the figures."""

    policy: str
    tier: Tier
    first_seed: int
    asked: int  # episodes
    version: str  # of mirr
    command: str


@dataclass(frozen=True, kw_only=True)
class Episode:
    """One episode, ready to be written."""

    result: EpisodeResult
    messages: list[Message]


@dataclass(frozen=True, kw_only=True)
class Written:
    """What is on disk."""

    table: Path
    card: Path
    episodes: int


class Listener:
    """Writes down an episode as a conversation, while it is played: it is an `OnStep`."""

    def __init__(self, config: EpisodeConfig) -> None:
        self._talk = Conversation(config)

    def __call__(self, observation: Observation, move: Move | None) -> None:
        """A step is over, or the episode begins."""
        if move is not None:
            self._talk.act(move.action)
        self._talk.see(observation)

    def messages(self) -> list[Message]:
        """The conversation up to the last action. Nobody answers what was seen after it."""
        return self._talk.messages(tools=False)[:-1]


def refuse_filled(folder: Path) -> None:
    """Raises RecordError if there is something in the folder already, or if it is none."""
    try:
        filled = folder.exists() and any(folder.iterdir())
    except OSError as error:  # it is a file
        raise RecordError(f"cannot write rollouts into {folder}: {error.strerror}; next: another --out DIR") from error
    if filled:
        raise RecordError(f"there is something in {folder} already; next: another --out DIR, or --overwrite")


def write_rollouts(episodes: Iterable[Episode], to: Path, about: About) -> Written:
    """Write the episodes as they come, and then the card. Raises RecordError."""
    arrow = needed_pyarrow()
    from pyarrow import parquet

    schema, table = rollouts_schema(), to / TABLE
    begun = table.with_name(f"{table.name}.part")
    results: list[EpisodeResult] = []
    waiting: list[dict[str, Any]] = []
    try:
        table.parent.mkdir(parents=True, exist_ok=True)
        with parquet.ParquetWriter(begun, schema, compression="zstd") as writer:
            for episode in episodes:
                results.append(episode.result)
                waiting.append(row_of(episode))
                if len(waiting) >= _ROWS_A_GROUP:
                    writer.write_table(arrow.Table.from_pylist(waiting, schema=schema))
                    waiting.clear()
            writer.write_table(arrow.Table.from_pylist(waiting, schema=schema))
        os.replace(begun, table)
        (to / CARD).write_text(card(results, about), encoding="utf-8")
    except (OSError, arrow.ArrowInvalid) as error:
        raise RecordError(f"cannot write rollouts into {to}: {error}") from error
    finally:
        begun.unlink(missing_ok=True)
    return Written(table=table, card=to / CARD, episodes=len(results))


def rollouts_schema() -> pa.Schema:
    """The table's schema."""
    arrow = needed_pyarrow()
    named = {
        "conversation": arrow.list_(arrow.struct([("role", arrow.string()), ("content", arrow.string())])),
        "list of string": arrow.list_(arrow.string()),
        "list of int16": arrow.list_(arrow.int16()),
        "list of double": arrow.list_(arrow.float64()),
        "string": arrow.string(),
        "bool": arrow.bool_(),
        "int32": arrow.int32(),
        "uint64": arrow.uint64(),
        "double": arrow.float64(),
    }
    return arrow.schema(
        [arrow.field(column.name, named[column.type], metadata={"says": column.says}) for column in COLUMNS],
        metadata={"mirr.schema": SCHEMA, "mirr.schema_version": str(VERSION)},
    )


def row_of(episode: Episode) -> dict[str, Any]:
    """The row of an episode."""
    result, report = episode.result, episode.result.report
    actions = [move.action for move in result.trajectory]
    return {
        "messages": episode.messages,
        "actions": [action_text(action) for action in actions],
        "action_numbers": [ACTION_INDEX[action] for action in actions],
        "rewards": [move.reward for move in result.trajectory],
        "total_reward": report.total_reward,
        "steps": report.steps,
        "outcome": str(report.outcome),
        "diagnosed": report.diagnosis_correct,
        "clean": report.clean,
        "policy": result.policy,
        "world": result.world,
        "tier": report.scenario.tier,
        "seed": result.seed,
        "scenario": json.dumps(report.scenario.to_json()),
    }


def card(results: list[EpisodeResult], about: About) -> str:
    """The dataset card: front matter for the Hugging Face Hub, and what a reader has to know."""
    count = len(results)
    last = about.first_seed + count - 1
    part = "" if count == about.asked else f" It was interrupted: {about.asked} episodes were asked for."
    seeds = f"seeds {about.first_seed} to {last}" if count else "no episode"
    lines = [
        *_front_matter(count, about),
        "",
        f"# MIRR Lab rollouts: `{about.policy}`, `{about.tier}`",
        "",
        "An agent is on call for five services, one of which breaks. It reads noisy metrics and logs, commits to a "
        f"diagnosis, and fixes it. This set has {count} episodes of the policy `{about.policy}` on the simulator of "
        f"MIRR Lab {about.version}, in the tier `{about.tier}`: {seeds}.{part}",
        "",
        "```",
        about.command,
        "```",
        "",
        "The simulator and the policies draw everything from the seed, so the command writes the same episodes again "
        "(but for policies that ask a server, such as `llm`).",
        "",
        "## Columns",
        "",
        "One row is one episode.",
        "",
        "| column | type | what it is |",
        "|---|---|---|",
        *(f"| `{column.name}` | {column.type} | {column.says} |" for column in COLUMNS),
        "",
        "`messages` has what a language model would read and answer: the text that the policy `llm` sends to a model "
        "without tools. Each answer is one action. `actions`, `rewards` and the answers belong together, in order.",
        "",
        "## How the policy fared",
        "",
        *_figures(results),
        "",
        "## Limits",
        "",
        "A row shows what one policy did, right or wrong: filter by `clean` or `total_reward` to imitate only what "
        "went well. `scenario` is the truth, which no agent sees. The trainings of MIRR Lab hold out all seeds below "
        "1,000,000: if you train on such a seed, do not judge on it.",
    ]
    return "\n".join(lines) + "\n"


def _front_matter(count: int, about: About) -> list[str]:
    """What the Hugging Face Hub and `datasets` read."""
    return [
        "---",
        "license: apache-2.0",
        f'pretty_name: "MIRR Lab rollouts: {about.policy}, {about.tier}"',
        "task_categories:",
        "- reinforcement-learning",
        "- text-generation",
        "language:",
        "- en",
        "tags:",
        "- mirr-lab",
        "- incident-response",
        "- agent-trajectories",
        "size_categories:",
        f"- {_size(count)}",
        "configs:",
        "- config_name: default",
        "  data_files:",
        "  - split: train",
        f"    path: {TABLE.as_posix()}",
        "---",
    ]


def _size(count: int) -> str:
    return next((name for most, name in _SIZES if count < most), _LARGEST)


def _figures(results: list[EpisodeResult]) -> list[str]:
    found = statistics(results)
    rows = [f"| {name.replace('_', ' ')} | {value} |" for name, value in found.items() if value is not None]
    return ["| figure | value |", "|---|---|", *rows]

"""What is left of an episode on paper: its record, and the post-mortem that is written from the record."""

from __future__ import annotations

import io
from pathlib import Path
from typing import assert_never

from mirr.env.document import Block, Bullets, Document, Paragraph, Table
from mirr.env.postmortem import Explain, postmortem
from mirr.env.record import RolloutWriter, parse_rollout
from mirr.env.reward import Outcome
from mirr.room.episodes import Episode

_NAME = Path("episode.jsonl")  # in messages only: nothing is written to a disk


class NoPaper(Exception):
    """There is nothing to write about. The message says why."""


def record_of(episode: Episode) -> str:
    """The record (docs/records.md) of what was played so far. It ends with the report if the episode is over."""
    text = io.StringIO()
    writer = RolloutWriter(_NAME, into=text)
    writer.header(world=episode.world_name, policy=episode.player, scenario=episode.scenario, config=episode.config)
    for frame in episode.frames:
        writer.step(
            frame.seen,
            action=frame.seen.last_action,
            reward=frame.reward,
            snapshot=frame.measured,
            reason=frame.seen.last_reason,
        )
    if episode.result is not None:
        writer.end(episode.result.to_json(), attempted=episode.attempted)
    return text.getvalue()


def postmortem_of(episode: Episode, explain: Explain) -> Document:
    """The post-mortem of an episode that is over. Raises NoPaper for any other, and for a void one."""
    if episode.result is None:
        raise NoPaper("this incident was not played to its end, so there is no post-mortem of it")
    if episode.result.report.outcome is Outcome.VOID:
        raise NoPaper("the world failed, so this incident is void and there is no post-mortem of it")
    return postmortem(parse_rollout(_NAME, record_of(episode).encode()), explain)


def document_json(document: Document) -> dict[str, object]:
    """What the page draws. Every text is plain."""
    return {
        "title": document.title,
        "sections": [
            {"heading": section.heading, "blocks": [_block_json(block) for block in section.blocks]}
            for section in document.sections
        ],
    }


def _block_json(block: Block) -> dict[str, object]:
    match block:
        case Paragraph(text):
            return {"paragraphs": [text]}
        case Bullets(items, none):
            return {"items": list(items)} if items else {"paragraphs": [none]}
        case Table(headings, rows):
            return {"headings": list(headings), "rows": [list(row) for row in rows]}
        case _:
            assert_never(block)

"""`mirr postmortem`: writes the post-mortem of a recorded episode, as Markdown and as a page to print."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mirr.cli.options import JsonOption

if TYPE_CHECKING:
    from mirr.env.postmortem import FaultText
    from mirr.env.vocabulary import Fault

RecordArgument = Annotated[Path, typer.Argument(metavar="RECORD", help="A record that --record wrote.")]
OutOption = Annotated[
    Path | None, typer.Option("--out", help="The folder to write to. Default: the folder of the record.")
]
OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Replace documents that exist already.")]


def register(app: typer.Typer) -> None:
    """Add this command to the command line."""
    app.command()(postmortem)


def postmortem(
    record: RecordArgument, out: OutOption = None, overwrite: OverwriteOption = False, as_json: JsonOption = False
) -> None:
    """Write what users felt, what caused it, what helped, what harmed and what to do: as Markdown and as HTML."""
    from mirr.env.postmortem import postmortem as write_about
    from mirr.env.record import RecordError, read_rollout, refuse_existing

    folder = record.parent if out is None else out
    document = write_about(read_rollout(record), explain)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RecordError(f"cannot make the folder {folder}: {error.strerror}; next: another --out FOLDER") from error
    texts = {
        folder / f"{record.stem}-postmortem.md": document.markdown(),
        folder / f"{record.stem}-postmortem.html": document.html(),
    }
    if not overwrite:
        for path in texts:
            refuse_existing(path, "the document", "--out DIR")
    for path, text in texts.items():
        try:
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise RecordError(f"cannot write the document {path}: {error.strerror}; next: another --out DIR") from error
    if as_json:
        print(json.dumps({"documents": [str(path) for path in texts]}))
    else:
        print("\n".join(map(str, texts)))


def explain(fault: Fault) -> FaultText:
    """What people read about a fault."""
    from mirr.chaos.faults import texts_of
    from mirr.env.postmortem import FaultText

    texts = texts_of(fault)
    return FaultText(happens=texts.happens, fix=texts.fix)

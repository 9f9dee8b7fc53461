"""`mirr train`: train a policy with PPO on the simulator, in minutes on two cores."""

from __future__ import annotations

import json
import os
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mirr.cli.options import JsonOption
from mirr.cli.training_tools import say
from mirr.env.checks import each_name_once
from mirr.env.quoting import quoted
from mirr.env.vocabulary import Tier, parse_tier

if TYPE_CHECKING:
    import torch

    from mirr.agents.training.ppo_training import Simulator, Training
    from mirr.env.simulator.parameters import Parameters

DEFAULT_MINUTES = 15.0
PICTURE = "ppo-reward.png"


def register(app: typer.Typer) -> None:
    """Add this command to the command line."""
    app.command(name="train")(train)


def train(
    out: Annotated[
        Path, typer.Option("--out", help="The folder for the checkpoint, its provenance and its curve.")
    ] = Path("trained"),
    tier: Annotated[str, typer.Option("--tier", help=f"The incidents to learn from: {', '.join(Tier)}.")] = Tier.HARD,
    minutes: Annotated[
        float | None,
        typer.Option("--minutes", min=0.0, help=f"How long it learns. {DEFAULT_MINUTES:g} unless there are --steps."),
    ] = None,
    steps: Annotated[
        int | None, typer.Option("--steps", min=1, help="End after so many steps, in all episodes together.")
    ] = None,
    seed: Annotated[
        int, typer.Option("--seed", min=0, max=999, help="Of the first weights and of all that is drawn.")
    ] = 0,
    parameters: Annotated[
        list[Path] | None,
        typer.Option(
            "--parameters",
            help="The simulator's parameters: a file like parameters.json, or one of mirr calibrate. It may be given "
            "more than once: then each episode draws one of the files.",
        ),
    ] = None,
    spread: Annotated[
        float, typer.Option("--spread", min=0.0, max=0.5, help="By which share each of them varies.")
    ] = 0.0,
    randomise: Annotated[
        Path | None, typer.Option("--randomise", help="A JSON file with the ranges in which they vary.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the training in --out that was ended.")] = False,
    device: Annotated[
        str, typer.Option("--device", help="auto, cpu or cuda. auto takes a GPU if there is one.")
    ] = "auto",
    threads: Annotated[
        int | None, typer.Option("--threads", min=1, help="Threads of simulator and network. Default: all cores.")
    ] = None,
    judge: Annotated[
        Path | None, typer.Option("--judge", help="Train nothing: judge this checkpoint on the held-out seeds.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Train a policy with PPO, and judge it on held-out seeds.

    Progress goes to stderr. After a kill, the same command with --resume goes on. The extra `train` is needed.
    """
    named = parse_tier(tier)  # first: what comes now takes seconds
    _check_packages()
    from mirr.agents.training.curves import draw_rewards
    from mirr.agents.training.ppo_training import WEIGHTS, CannotGoOn, Tools, Trainer, judge_file
    from mirr.bridge.provenance import commit

    if minutes is None and steps is None:
        minutes = DEFAULT_MINUTES
    training = new_training(
        tier=named,
        minutes=minutes,
        steps=steps,
        seed=seed,
        simulator=_simulator(parameters or [], spread, randomise),
    )
    threads = _cores() if threads is None else threads
    tools = Tools(now=time.monotonic, say=say, commit=commit(), threads=threads, device=_found(device, threads))
    if judge is not None:
        print(json.dumps(judge_file(judge, training, tools).to_json(), indent=1))
        return
    try:
        trainer = Trainer(training, out, tools, resume=resume)
    except CannotGoOn as error:
        raise typer.BadParameter(str(error)) from error
    provenance = trainer.run()
    draw_rewards(trainer.curve, f"PPO, {training.tier}", out / PICTURE)
    if as_json:
        print(json.dumps(provenance, indent=1))
    else:
        print(f"{out / WEIGHTS}, its provenance, and its curve: {out / PICTURE}")


def new_training(**chosen: Any) -> Training:
    """A training with what was chosen. A test replaces this by a shorter one."""
    from mirr.agents.training.ppo_training import Training

    return Training(**chosen)


def _check_packages() -> None:
    """Every package is looked for before anything is imported: PyTorch takes seconds."""
    from mirr.agents.training.names import EXTRA, PPO_NEEDS, ModelName

    missing = [package for package in PPO_NEEDS if find_spec(package) is None]
    if missing:
        extra = EXTRA[ModelName.SMALL]
        raise typer.BadParameter(f"not installed: {', '.join(missing)}; next: pip install 'mirr-lab[{extra}]'")


def _simulator(parameters: list[Path], spread: float, randomise: Path | None) -> Simulator:
    from mirr.agents.training.ppo_training import Simulator
    from mirr.env.simulator.parameters import ParameterError
    from mirr.env.simulator.randomisation import Randomisation

    if spread > 0.0 and randomise is not None:
        raise typer.BadParameter("--spread and --randomise both say how parameters vary; leave one of them out")
    try:
        machines = tuple(_parameters_in(each) for each in parameters)
    except ValueError as error:  # ParameterError and CalibrationError
        raise typer.BadParameter(str(error)) from error
    try:
        randomisation = Randomisation.everything(spread) if spread > 0.0 else None
        if randomise is not None:
            raw = json.loads(randomise.read_text(encoding="utf-8-sig"), object_pairs_hook=each_name_once)
            randomisation = Randomisation.from_json(raw)
        simulator = Simulator(parameters=machines, randomisation=randomisation)
        simulator.sets()  # if they cannot be drawn, it is said now
    except (OSError, ValueError) as error:  # ParameterError is a ValueError, and so is what is no JSON
        where = "" if randomise is None or isinstance(error, ParameterError) else f"--randomise {randomise}: "
        raise typer.BadParameter(f"{where}{error}") from error
    return simulator


def _parameters_in(path: Path) -> Parameters:
    """The parameters in a file like parameters.json, or in one of `mirr calibrate`. Raises ParameterError or
    CalibrationError."""
    from mirr.bridge.calibration.parameter_file import is_calibration, read_calibration
    from mirr.env.simulator.parameters import load_parameters

    return read_calibration(path).parameters if is_calibration(path) else load_parameters(path)


def _found(device: str, threads: int) -> torch.device:
    """The device of that name."""
    from mirr.agents.training.names import DeviceName

    if device not in tuple(DeviceName):
        raise typer.BadParameter(f"--device {quoted(device)}: one of {', '.join(DeviceName)}.")
    import torch

    from mirr.agents.training.learner import found_device

    torch.set_num_threads(threads)
    name = DeviceName(device)
    if name is DeviceName.CUDA and not torch.cuda.is_available():
        raise typer.BadParameter("--device cuda: there is no GPU that PyTorch can use; next: --device cpu")
    return found_device() if name is DeviceName.AUTO else torch.device(name)


def _cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1

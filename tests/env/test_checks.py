"""Seeds, faults and configurations are checked where they are given, before anything happens."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mirr.env.actions import NotAnAction, action_number, action_numbers
from mirr.env.checks import BadConfig
from mirr.env.environment import Environment, EpisodeError
from mirr.env.objectives import Objectives
from mirr.env.quoting import quoted
from mirr.env.record import RecordError, read_rollout
from mirr.env.reward import RewardTable
from mirr.env.scenario import BadScenario, BadSeed, EpisodeConfig, Scenario, Scheduled, checked_seed, draw
from mirr.env.simulator.batch import BatchedSimulator
from mirr.env.simulator.parameters import PARAMETERS_FILE, ParameterError, load_parameters
from mirr.env.simulator.randomisation import ParameterSets, Randomisation, Range
from mirr.env.simulator.world import SimulatedWorld
from mirr.env.vocabulary import Breaks, Deploys, Diagnose, Ends, Fault, FaultMode, Restart, Service, UnknownName
from tests.late import Tensor, made

WITH_GRADIENT = {"requires_grad": True}
WHOLE = [7, np.int64(7), np.uint8(7), np.array(7), Tensor(7), Tensor(7, dtype="uint8")]
NOT_WHOLE: list[Any] = [
    True,
    np.bool_(True),
    7.0,
    np.float32(7.0),
    float("nan"),
    "7",
    b"7",
    [7],
    np.array([7]),
    Tensor([7]),
    Tensor(7.0, options=WITH_GRADIENT),
    Tensor(True),
    [[1], [1, 2]],
]


class OnAnAccelerator:
    """A tensor that numpy cannot read where it is."""

    def __init__(self, value: object) -> None:
        self._value = value

    def cpu(self) -> object:
        return np.asarray(self._value)

    def __array__(self, *_: object, **__: object) -> object:
        raise TypeError("can't convert cuda:0 device type tensor to numpy")


@pytest.mark.parametrize("seed", WHOLE, ids=repr)
def test_a_seed_may_be_any_kind_of_whole_number(seed: Any) -> None:
    seed = made(seed)
    assert type(checked_seed(seed)) is int
    assert draw(seed) == draw(7)
    observation, _ = Environment(SimulatedWorld()).reset(seed=seed)
    expected, _ = Environment(SimulatedWorld()).reset(seed=7)
    assert np.array_equal(observation.features, expected.features, equal_nan=True)


@pytest.mark.parametrize("seed", NOT_WHOLE, ids=repr)
def test_anything_else_is_no_seed(seed: Any) -> None:
    seed = made(seed)
    environment = Environment(SimulatedWorld())
    with pytest.raises(BadSeed, match=f"^a seed is a whole number from 0 up; got {re.escape(repr(seed))}$"):
        environment.reset(seed=seed)
    with pytest.raises(BadSeed):
        BatchedSimulator(1).reset([seed])


def test_tensors_on_an_accelerator_are_welcome() -> None:
    assert checked_seed(OnAnAccelerator(7)) == 7
    assert action_number(OnAnAccelerator(7), 41) == 7
    assert action_numbers(OnAnAccelerator([7, 3]), 2).tolist() == [7, 3]


class OfAnotherKind:
    """An array of a library of the caller's own, which cannot be converted."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __array__(self, *_: object, **__: object) -> object:
        raise self._error

    def __repr__(self) -> str:
        return "an array of another kind"


@pytest.mark.parametrize("error", [AttributeError("dtype"), KeyError("device"), MemoryError(), NotImplementedError()])
def test_what_a_callers_own_class_raises_is_a_refusal_in_our_words(error: Exception) -> None:
    value = OfAnotherKind(error)
    with pytest.raises(BadSeed, match=r"^a seed is a whole number from 0 up; got an array of another kind$"):
        checked_seed(value)
    with pytest.raises(NotAnAction, match=r"^an action is an Action or its number; got an array of another kind$"):
        action_number(value, 41)
    with pytest.raises(NotAnAction, match=r"^action numbers are whole numbers; got "):
        action_numbers([value, 3], 2)


@pytest.mark.parametrize(
    "values", [[np.int8(3), np.uint64(4)], (np.uint64(3), 4), [np.uint64(3), np.int64(4)], [np.array(3), np.uint64(4)]]
)
def test_whole_numbers_of_several_types_beside_each_other_are_action_numbers(values: object) -> None:
    assert action_numbers(values, 2).tolist() == [3, 4]


@pytest.mark.parametrize(
    "values", [[np.uint64(3), 4.0], [np.int8(3), np.float32(4)], [np.int8(-1), np.uint64(2**64 - 1)]]
)
def test_no_float_and_no_number_that_is_too_large_becomes_a_whole_one(values: object) -> None:
    with pytest.raises(NotAnAction, match=r"^action numbers are whole numbers; got "):
        action_numbers(values, 2)


@pytest.mark.parametrize("values", [[[1], [1, 2]], Tensor([1.0, 2.0], options=WITH_GRADIENT)], ids=repr)
def test_what_is_no_array_at_all_is_refused_in_the_same_words(values: object) -> None:
    values = made(values)
    with pytest.raises(NotAnAction, match=f"^action numbers are whole numbers; got {re.escape(repr(values))}$"):
        action_numbers(values, 2)


@pytest.mark.parametrize(
    ("field", "value", "wanted"),
    [
        ("max_steps", 0, "a whole number from 1 to 100000"),
        ("max_steps", -3, "a whole number from 1 to 100000"),
        ("max_steps", 10**9, "a whole number from 1 to 100000"),
        ("max_steps", 2.5, "a whole number from 1 to 100000"),
        ("max_steps", True, "a whole number from 1 to 100000"),
        ("max_steps", "30", "a whole number from 1 to 100000"),
        ("noise", float("nan"), "a number from 0 to 1"),
        ("noise", -0.1, "a number from 0 to 1"),
        ("noise", 1.5, "a number from 0 to 1"),
        ("noise", None, "a number from 0 to 1"),
        ("noise", False, "a number from 0 to 1"),
        ("step_s", 0.0, "a number above 0 at most 3600"),
        ("step_s", 1e9, "a number above 0 at most 3600"),
        ("step_s", float("inf"), "a number above 0 at most 3600"),
        ("step_s", 10**400, "a number above 0 at most 3600"),
        ("step_s", "2", "a number above 0 at most 3600"),
        ("step_s", np.array([2.0]), "a number above 0 at most 3600"),
        ("none_diagnosis", 1, "True or False"),
        ("none_diagnosis", "no", "True or False"),
    ],
)
def test_a_configuration_that_cannot_be_played_cannot_be_made(field: str, value: Any, wanted: str) -> None:
    with pytest.raises(BadConfig) as refusal:
        EpisodeConfig(**{field: value})
    assert str(refusal.value) == f"EpisodeConfig({field}=...) is {wanted}; got {quoted(value)}"
    with pytest.raises(BadConfig):
        replace(EpisodeConfig(), **{field: value})


def test_numbers_of_numpy_and_torch_become_plain_numbers_in_a_configuration() -> None:
    config = EpisodeConfig(
        step_s=Tensor(4).make(),
        max_steps=np.int32(9),  # type: ignore[arg-type]  # trainers pass them
        noise=np.array(0.5),  # type: ignore[arg-type]
        none_diagnosis=np.bool_(True),  # type: ignore[arg-type]
    )
    assert config == EpisodeConfig(step_s=4.0, max_steps=9, noise=0.5, none_diagnosis=True)
    assert [type(value) for value in asdict(config).values()] == [float, int, float, bool]


@pytest.mark.parametrize(
    "make", [lambda config: Environment(SimulatedWorld(), config), lambda c: BatchedSimulator(1, config=c)]
)
def test_a_dict_is_no_configuration(make: Any) -> None:
    with pytest.raises(BadConfig) as refusal:
        make({"max_steps": 5})
    assert str(refusal.value) == "config is an EpisodeConfig, as in EpisodeConfig(max_steps=20); got {'max_steps': 5}"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Objectives(user_sli=float("nan")), "Objectives(user_sli=...) is a number that is finite; got nan"),
        (lambda: RewardTable(collapse=float("inf")), "RewardTable(collapse=...) is a number that is finite; got inf"),
        (
            lambda: RewardTable(recovery_steps=0),
            "RewardTable(recovery_steps=...) is a whole number from 1 up; got 0",
        ),
    ],
)
def test_objectives_and_rewards_are_numbers(make: Any, message: str) -> None:
    with pytest.raises(BadConfig) as refusal:
        make()
    assert str(refusal.value) == message


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Range(2.0, 1.0), "a Range has the lower number first; got 2.0 and 1.0"),
        (lambda: Range(float("nan"), 1.0), "a Range has two finite numbers; got nan and 1.0"),
        (lambda: Randomisation(sets=0), "randomisation.sets must be a whole number from 1 up; got 0"),
        (lambda: Randomisation(seed=-1), "randomisation.seed must be a whole number from 0 up; got -1"),
        (lambda: replace(load_parameters(), tick_s=-0.4), "tick_s must be a positive number; got -0.4"),
        (
            lambda: replace(load_parameters(), overload_factor=0.01),
            "services.gateway: ordinary traffic alone is beyond overload_factor",
        ),
        (
            lambda: replace(load_parameters().services[Service.AUTH], request_cpu_s=float("nan")),
            "request_cpu_s must be a positive number; got nan",
        ),
    ],
)
def test_parameters_are_checked_where_they_are_made(make: Any, message: str) -> None:
    with pytest.raises(ParameterError) as refusal:
        make()
    assert str(refusal.value) == message


def test_a_name_twice_in_the_parameter_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "parameters.json"
    path.write_text(PARAMETERS_FILE.read_text().replace("{", '{"tick_s": 0.2,', 1))
    with pytest.raises(ParameterError) as refusal:
        load_parameters(path)
    assert str(refusal.value) == (
        f"cannot read the simulator's parameters {path}: tick_s is there a second time in the same object"
    )
    path.write_text("[" * 100_000)
    with pytest.raises(ParameterError, match=r"^cannot read the simulator's parameters .*: nested too deeply$"):
        load_parameters(path)


def test_a_name_twice_in_a_record_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "record.jsonl"
    path.write_text('{"kind": "header", "kind": "step"}\n{"kind": "end"}\n')
    with pytest.raises(RecordError) as refusal:
        read_rollout(path)
    assert str(refusal.value) == (
        f"{path}, line 1: not JSON that can be read (kind is there a second time in the same object)"
    )


@pytest.mark.parametrize("fault", ["crashed:auth", 3, ("crashed", "auth")], ids=repr)
def test_a_fault_is_a_fault(fault: Any) -> None:
    environment = Environment(SimulatedWorld())
    message = f"a fault is a Fault, as in Fault.parse('bad_deploy:payments'); got {fault!r}"
    with pytest.raises(BadScenario) as refusal:
        environment.reset(seed=1, fault=fault)
    assert str(refusal.value) == message
    if isinstance(fault, str):  # a tuple is one fault for each environment
        with pytest.raises(BadScenario) as refusal:
            BatchedSimulator(2).reset([1, 2], faults=fault)  # type: ignore[arg-type]  # it is refused
        assert str(refusal.value) == message


def test_an_unknown_form_is_refused_before_the_world_is_touched() -> None:
    environment = Environment(SimulatedWorld())
    with pytest.raises(UnknownName, match=r"^unknown form 'odd' of crashed; one of: "):
        environment.reset(seed=1, fault=Fault(FaultMode.CRASHED, Service.AUTH, "odd"))
    assert environment.report is None


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: Scheduled(-1, Breaks(Fault(FaultMode.CRASHED, Service.AUTH))),
            "Scheduled(step=...) is a whole number from 0 up; got -1",
        ),
        (
            lambda: Scheduled(0.5, Breaks(Fault(FaultMode.CRASHED, Service.AUTH))),  # type: ignore[arg-type]
            "Scheduled(step=...) is a whole number from 0 up; got 0.5",
        ),
        (
            lambda: Scheduled(0, "crashed:auth"),  # type: ignore[arg-type]
            "Scheduled(event=...) is Breaks, Ends, Deploys, TrafficChanges or Bursts; got 'crashed:auth'",
        ),
        (lambda: Scenario(seed=-1, timeline=()), "a seed is a whole number from 0 up; got -1"),
    ],
)
def test_a_scenario_that_cannot_be_played_cannot_be_made(make: Any, message: str) -> None:
    with pytest.raises(BadScenario) as refusal:
        make()
    assert str(refusal.value) == message


def test_a_reset_takes_a_scenario_and_not_its_name() -> None:
    with pytest.raises(EpisodeError) as refusal:
        Environment(SimulatedWorld()).reset(scenario="two-in-turn")  # type: ignore[arg-type]
    assert str(refusal.value) == (
        "reset(scenario=...) takes a Scenario, as a pack's scenario() gives; got 'two-in-turn'"
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda batch: batch.reset(5), "a batch of 2 takes 2 seeds; got 5"),
        (lambda batch: batch.reset(np.array(5)), "a batch of 2 takes 2 seeds; got array(5)"),
        (lambda batch: batch.reset([1, 2], mask=[0.5, 1.0]), "a mask has bools; got [0.5, 1.0]"),
        (
            lambda batch: batch.reset([1, 2], mask=[[True], [True, False]]),
            "a mask has one bool for each of the 2 environments; got [[True], [True, False]]",
        ),
    ],
)
def test_a_batch_refuses_a_reset_of_the_wrong_form(call: Any, message: str) -> None:
    with pytest.raises(EpisodeError) as refusal:
        call(BatchedSimulator(2))
    assert str(refusal.value) == message


def test_a_batch_takes_seeds_and_masks_as_tensors() -> None:
    batch, expected = BatchedSimulator(2), BatchedSimulator(2)
    batch.reset(Tensor([1, 2]).make())
    batch.reset(Tensor([5, 6]).make(), mask=Tensor([True, False]).make())
    assert np.array_equal(batch.features, expected.reset([5, 2]), equal_nan=True)


@pytest.mark.parametrize("size", [0, -1, 2.5, True, "3"], ids=repr)
def test_a_batch_has_a_whole_number_of_environments(size: Any) -> None:
    with pytest.raises(ValueError, match=r"^a batch has at least one environment and one thread; got "):
        BatchedSimulator(size)


def test_a_step_of_three_ticks_is_whole_though_floats_say_otherwise() -> None:
    sets = ParameterSets([load_parameters()])
    assert 1.2 / sets.tick_s != 3.0
    assert [sets.ticks(seconds) for seconds in (0.4, 1.2, 2.0, 3600.0)] == [1, 3, 5, 9000]
    with pytest.raises(ValueError, match=r"^the simulator advances in whole ticks of 0\.4 s; got 1\.3$"):
        sets.ticks(1.3)


@pytest.mark.parametrize(
    "action",
    [
        Diagnose("cart", "crashed"),  # type: ignore[arg-type]  # as a caller without a type checker writes it
        Diagnose(FaultMode.CRASHED, Service.AUTH),  # type: ignore[arg-type]  # the other way round
        Restart(None),  # type: ignore[arg-type]
        Restart([]),  # type: ignore[arg-type]
    ],
    ids=repr,
)
def test_an_action_on_what_does_not_exist_is_refused_before_it_is_played(action: Any) -> None:
    environment = Environment(SimulatedWorld())
    environment.reset(seed=7)
    with pytest.raises(EpisodeError, match=f"^{re.escape(repr(action))} is not an action; next: "):
        environment.step(action)
    observation, *_ = environment.step(Restart("auth"))  # type: ignore[arg-type]  # its name is as good
    assert (observation.step, observation.last_action) == (1, Restart(Service.AUTH))


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (Fault("slow", Service.AUTH), r"^unknown fault mode 'slow'; one of: crashed, "),  # type: ignore[arg-type]
        (Fault(FaultMode.CRASHED, "cart"), r"^unknown service 'cart'; one of: gateway, "),  # type: ignore[arg-type]
    ],
)
def test_a_fault_of_what_does_not_exist_is_refused_before_it_is_played(fault: Any, message: str) -> None:
    environment = Environment(SimulatedWorld())
    environment.reset(seed=7)
    attempts: list[Callable[[], object]] = [
        lambda: environment.reset(seed=8, fault=fault),
        lambda: BatchedSimulator(1).reset([8], faults=fault),
        lambda: Scheduled(0, Breaks(fault)),
        lambda: Scheduled(3, Ends(fault)),
    ]
    for attempt in attempts:
        with pytest.raises(UnknownName, match=message):
            attempt()
    with pytest.raises(UnknownName, match=r"^unknown service 'cart'"):
        Scheduled(0, Deploys("cart"))  # type: ignore[arg-type]
    observation, *_ = environment.step(0)
    assert observation.step == 1

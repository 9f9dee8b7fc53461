"""A toy form of a fault needs only one module. The simulator finds it and plays it, and a restart fixes it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

STOPPED = '''
"""`crashed/stopped`: the process is stopped. Its callers see no difference to a killed process."""

from mirr.env.simulator.fast.compiled import jit
from mirr.env.simulator.fast.rows import DOWN, STATUS
from mirr.env.simulator.physics.forms.form import Form
from mirr.env.simulator.physics.operations import boot, end_process
from mirr.env.vocabulary import FaultMode, Service


@jit
def begin(s, p, i):
    end_process(s, i)


@jit
def landed(s, p, i):
    return bool(s[STATUS + i] == DOWN)


@jit
def end(s, p, i):
    boot(s, p, i)


FORM = Form(
    mode=FaultMode.CRASHED,
    place=2,
    order=50,
    begin=begin,
    landed=landed,
    end=end,
    services=(Service.AUTH, Service.ORDERS),
)
'''

EPISODE = '''
import sys
from pathlib import Path

from mirr.env.simulator.physics import forms

forms.__path__.append(sys.argv[1])

from mirr.env.environment import Environment
from mirr.env.forms import all_forms, form_number
from mirr.env.record import RolloutWriter, read_rollout
from mirr.env.recorded import play_back
from mirr.env.rollout import play
from mirr.env.simulator.batch import BatchedSimulator
from mirr.env.simulator.world import SimulatedWorld
from mirr.chaos import faults as container_forms
from mirr.env.scenario import draw
from mirr.env.vocabulary import ACTION_INDEX, Diagnose, Fault, FaultMode, Restart, Service, UnknownName, Wait

fault = Fault.parse("crashed/stopped:auth")
assert str(fault) == "crashed/stopped:auth"
assert list(all_forms()[FaultMode.CRASHED]) == ["killed", "hung", "stopped"]
assert form_number(fault) == len(FaultMode) + 1

# The simulator's module says which services have the form.
elsewhere = Fault(FaultMode.CRASHED, Service.GATEWAY, "stopped")
for refuse in (lambda: Fault.parse(str(elsewhere)), lambda: draw(1, elsewhere)):
    try:
        refuse()
    except UnknownName as error:
        assert str(error) == "gateway has no crashed/stopped; services that have it: auth, orders"
    else:
        raise AssertionError("gateway has no such fault")
assert container_forms.faults(FaultMode.CRASHED, "stopped") == (
    fault, Fault(FaultMode.CRASHED, Service.ORDERS, "stopped")
)

actions = [Diagnose(Service.AUTH, FaultMode.CRASHED), Restart(Service.AUTH), *[Wait()] * 10]

environment = Environment(SimulatedWorld())
environment.reset(seed=1, fault=fault)
rewards = []
while environment.report is None:
    rewards.append(environment.step(actions[len(rewards)])[1])
assert environment.report.scenario.faults == (fault,)
assert environment.report.scenario.to_json() == {
    "faults": [{"mode": "crashed", "service": "auth", "form": "stopped"}]
}

batch = BatchedSimulator(1)
batch.reset([1], faults=fault)
assert batch.scenario(0).faults == (fault,)
for action, reward in zip(actions, rewards):
    assert batch.step([ACTION_INDEX[action]])[1][0] == reward
assert batch.report(0) == environment.report
class Restarts:
    """Names the fault, then restarts the service."""

    def reset(self, rng):
        self.queue = list(actions)

    def act(self, observation):
        return self.queue.pop(0)


path = Path(sys.argv[1]) / "episode.jsonl"
writer = RolloutWriter(path)
play(Environment(SimulatedWorld()), Restarts(), seed=1, fault=fault, record=writer)
writer.close()
recorded = read_rollout(path)
assert recorded.scenario.faults == (fault,)
assert play_back(recorded).same

print(environment.report.outcome, environment.report.diagnosis_correct)
'''


@pytest.mark.thorough
def test_an_episode_with_a_new_form_is_played_and_resolved(tmp_path: Path) -> None:
    (tmp_path / "stopped.py").write_text(STOPPED, encoding="utf-8")
    played = subprocess.run(
        [sys.executable, "-c", EPISODE, str(tmp_path)],
        env={**os.environ, "MIRR_COMPILED": "0"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (played.returncode, played.stdout) == (0, "resolved True\n"), played.stderr

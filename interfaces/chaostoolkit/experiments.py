"""Writes the experiments of `chaos/experiments`: one for each fault, in each of its forms.

What an experiment says about its fault comes from the form's module in `chaos/faults`. Run
`python -m mirr.interfaces.chaostoolkit.experiments` after a change there or here. A test compares the files with the
output of this module.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from mirr.chaos.faults import faults, texts_of
from mirr.chaos.form import Texts
from mirr.env.objectives import OBJECTIVES
from mirr.env.vocabulary import CALLS, REMEDY, Fault, Journey, Restart, Rollback, ScaleUp, Service
from mirr.lab.names import DEFAULT_LAB, ROOT

FOLDER = ROOT / "chaos" / "experiments"

PATHS: dict[Journey, frozenset[Service]] = {
    Journey.BROWSE: frozenset({Service.GATEWAY, Service.INVENTORY}),
    Journey.SIGN_IN: frozenset({Service.GATEWAY, Service.AUTH}),
    Journey.CHECK_OUT: frozenset(Service),
}
"""The services that each journey needs. If another one breaks, the users of this journey notice nothing."""

FIXES: dict[type[Restart] | type[Rollback] | type[ScaleUp], str] = {
    Restart: "restart",
    Rollback: "rollback",
    ScaleUp: "scale_up",
}
"""The action of this extension for each kind of fix."""

_HEADER = "# Written by interfaces/chaostoolkit/experiments.py from chaos/faults. Change it there, and run it again.\n"

_LOST_S = 20
_RESTORED_S = 30


def file_name(fault: Fault) -> str:
    """The file of a fault's experiment, in `FOLDER`."""
    form = f"-{fault.form}" if fault.form else ""
    return f"{fault.service}-{fault.mode}{form}.yaml".replace("_", "-")


def experiment(fault: Fault) -> str:
    """The experiment of a fault, as YAML."""
    return _HEADER + yaml.safe_dump(as_data(fault), sort_keys=False, width=116, allow_unicode=True)


def as_data(fault: Fault) -> dict[str, Any]:
    """The experiment of a fault, as Chaos Toolkit reads it."""
    texts = texts_of(fault)
    return {
        "title": texts.title,
        "description": f"{texts.happens} {_blast_radius(fault.service)} {texts.fix} {texts.other_fixes}",
        "tags": ["mirr-lab", fault.service.value, _kind(fault)],
        "configuration": {"lab": {"type": "env", "key": "LAB", "default": DEFAULT_LAB}},
        # Without this control, the toolkit goes on after a step that failed. The control ends the run there.
        "controls": [
            {
                "name": "the method has to hold",
                "provider": {"type": "python", "module": "mirr.interfaces.chaostoolkit.control"},
            }
        ],
        # Always, also after Ctrl-C.
        "runtime": {"rollbacks": {"strategy": "always"}},
        "steady-state-hypothesis": _hypothesis(),
        "method": _method(fault, texts),
        "rollbacks": [_activity("action", "everything is reverted, and the lab is in steady state", "revert")],
    }


def spared(service: Service) -> list[Journey]:
    """The journeys whose users should notice nothing when `service` is broken."""
    return [journey for journey, needed in PATHS.items() if service not in needed]


def write_all(folder: Path = FOLDER) -> None:
    """Write every experiment into the folder, and remove the files that belong to no fault."""
    folder.mkdir(exist_ok=True)
    for stale in folder.glob("*.yaml"):
        stale.unlink()
    for fault in faults():
        (folder / file_name(fault)).write_text(experiment(fault))


def _hypothesis() -> dict[str, Any]:
    steady = _activity("probe", "every objective is met, on the steady releases and limits", "steady")
    served = _activity("probe", "the share of users' requests that go well", "user_sli")
    return {
        "title": "users are served, and every service is inside its objectives",
        "probes": [
            steady | {"tolerance": True},
            served | {"tolerance": {"type": "range", "range": [OBJECTIVES.user_sli, 1.0]}},
        ],
    }


def _method(fault: Fault, texts: Texts) -> list[dict[str, Any]]:
    service, fix = fault.service.value, FIXES[REMEDY[fault.mode]]
    named = {"mode": _kind(fault), "service": service}
    unharmed = [journey.value for journey in spared(fault.service)]
    method = [
        _activity("action", texts.strikes, "inject", **named),
        _activity("probe", f"{service} misses an objective", "objective_lost", service=service, within_s=_LOST_S),
        _activity("probe", _felt(fault.service), "blast_radius", spared=unharmed),
        _activity("action", f"the fix: {fix} of {service}".replace("_", " "), fix, service=service),
        _activity("probe", "every objective is met again", "objectives_restored", within_s=_RESTORED_S),
    ]
    if texts.ends is not None:
        method += [
            _activity("action", texts.ends, "end_fault", **named),
            _activity("probe", "every objective is still met", "objectives_restored", within_s=_RESTORED_S),
        ]
    return method


def _kind(fault: Fault) -> str:
    """The mode, and the form if it is not the mode's first, in the way that `inject` accepts them."""
    return f"{fault.mode}/{fault.form}" if fault.form else fault.mode.value


def _felt(service: Service) -> str:
    users = " and ".join(journey.replace("_", " ") for journey in spared(service))
    return f"users still {users}" if users else "how many users still get through"


def _activity(kind: str, name: str, func: str, **arguments: object) -> dict[str, Any]:
    provider = {"type": "python", "module": f"mirr.interfaces.chaostoolkit.{kind}s", "func": func}
    return {"type": kind, "name": name, "provider": provider | ({"arguments": arguments} if arguments else {})}


def _blast_radius(service: Service) -> str:
    """One sentence that says which users we expect to be hit, and which not."""
    callers = _callers(service)
    needs = "needs" if len(callers) == 1 else "need"
    hit = f"Blast radius: {' and '.join([service, *callers])}" if callers else "Blast radius: everyone"
    why = f", because {' and '.join(callers)} {needs} it" if callers else ", because every journey passes through it"
    users = " or ".join(journey.replace("_", " ") for journey in spared(service))
    return f"{hit}{why}{f'; users who {users} notice nothing' if users else ''}."


def _callers(service: Service) -> list[Service]:
    """Every service that calls `service`, directly or through others."""
    direct = [caller for caller in Service if service in CALLS[caller]]
    found = {*direct, *(above for caller in direct for above in _callers(caller))}
    return [caller for caller in Service if caller in found]


if __name__ == "__main__":
    write_all()

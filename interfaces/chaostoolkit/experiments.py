"""Writes the experiments of `chaos/experiments`, one a fault: what each says is here, in words and in one table.

Run `python -m mirr.interfaces.chaostoolkit.experiments` after a change; a test compares the files with what this makes.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mirr.env.objectives import OBJECTIVES
from mirr.env.vocabulary import (
    ALL_FAULTS,
    CALLS,
    REMEDY,
    Fault,
    FaultMode,
    Journey,
    Restart,
    Rollback,
    ScaleUp,
    Service,
)
from mirr.lab.names import DEFAULT_LAB, ROOT

FOLDER = ROOT / "chaos" / "experiments"

PATHS: dict[Journey, frozenset[Service]] = {
    Journey.BROWSE: frozenset({Service.GATEWAY, Service.INVENTORY}),
    Journey.SIGN_IN: frozenset({Service.GATEWAY, Service.AUTH}),
    Journey.CHECK_OUT: frozenset(Service),
}
"""Whom a journey needs: what is not on its path may break, and its users notice nothing."""

FIXES: dict[type[Restart] | type[Rollback] | type[ScaleUp], str] = {
    Restart: "restart",
    Rollback: "rollback",
    ScaleUp: "scale_up",
}
"""The action of this extension for each kind of fix."""


@dataclass(frozen=True, kw_only=True)
class Story:
    """What we believe of a fault mode; SERVICE stands for the service's name."""

    title: str
    happens: str  # what the world does to the service, and why that breaks it
    strikes: str  # the same as one step of the method
    fix: str  # what we believe mends it, and why
    ends_itself: str | None = None  # what the world has to do for the fix to last


STORIES: dict[FaultMode, Story] = {
    FaultMode.CRASHED: Story(
        title="SERVICE is killed, and one restart brings it back",
        happens="SIGKILL ends the process of SERVICE and nothing starts it again, so whoever calls it is refused at "
        "once.",
        strikes="the process of SERVICE is killed",
        fix="One restart mends it: nothing but the process is gone. There is nothing to roll back to, and nothing runs "
        "that could be scaled.",
    ),
    FaultMode.MEMORY_LEAK: Story(
        title="SERVICE leaks memory, and a restart buys the time until the client is gone",
        happens="A client sends SERVICE a new key and a large body each time. A ledger there never evicts, so memory "
        "climbs past its objective, and then to where the kernel's OOM killer ends the process.",
        strikes="a client with ever new keys comes to SERVICE",
        fix="A restart mends it though the client goes on, because memory begins anew. It would climb again, so once "
        "the fix was seen to work, the client goes away. More CPU frees no memory.",
        ends_itself="the client goes away, and with it the process that it fills",
    ),
    FaultMode.OVERLOADED: Story(
        title="A flash crowd overloads SERVICE, and twice the CPU carries it",
        happens="A flash crowd asks SERVICE for more work than its CPU quota can do: it is slow, then it turns "
        "requests away.",
        strikes="a flash crowd comes to SERVICE",
        fix="Twice the CPU quota carries the crowd, which stays. After a restart it would still be there.",
    ),
    FaultMode.BAD_DEPLOY: Story(
        title="A faulty release of SERVICE is deployed, and a rollback undoes it",
        happens="A faulty release, really built, replaces SERVICE. Each boot of it spoils more of the rows that it "
        "reads.",
        strikes="a faulty release of SERVICE is deployed",
        fix="A rollback mends it: the release before reads an untouched column. A restart is one more boot, and makes "
        "it worse.",
    ),
}


def file_name(fault: Fault) -> str:
    """Where a fault's experiment is, below `FOLDER`."""
    return f"{fault.service}-{fault.mode}.yaml".replace("_", "-")


def experiment(fault: Fault) -> str:
    """The experiment of a fault, as YAML."""
    story, service = STORIES[fault.mode], fault.service
    return "\n".join(
        [
            "# Written by interfaces/chaostoolkit/experiments.py; what all experiments say is changed there.",
            f"title: {story.title.replace('SERVICE', service)}",
            "description: >-",
            *_wrapped(f"{story.happens} {_blast_radius(service)} {story.fix}".replace("SERVICE", service)),
            f"tags: [mirr-lab, {service}, {fault.mode}]",
            "",
            *_FRAME.format(lab=DEFAULT_LAB).splitlines(),
            "",
            *_HYPOTHESIS.format(user_sli=OBJECTIVES.user_sli).splitlines(),
            "",
            "method:",
            *_method(fault, story),
            "",
            "# Whatever happened above, Ctrl-C included.",
            "rollbacks:",
            *_activity("action", "everything is put back, and the lab is in steady state", "revert"),
            "",
        ]
    )


def spared(service: Service) -> list[Journey]:
    """The journeys whose users we believe notice nothing when `service` is broken."""
    return [journey for journey, needed in PATHS.items() if service not in needed]


def write_all(folder: Path = FOLDER) -> None:
    """Write every experiment into the folder, and take away what belongs to no fault."""
    folder.mkdir(exist_ok=True)
    for stale in folder.glob("*.yaml"):
        stale.unlink()
    for fault in ALL_FAULTS:
        (folder / file_name(fault)).write_text(experiment(fault))


_FRAME = """\
configuration:
  lab: {{type: env, key: LAB, default: {lab}}}

# The toolkit by itself would go on after a step that failed; this ends the run there.
controls:
  - name: the method has to hold
    provider: {{type: python, module: mirr.interfaces.chaostoolkit.control}}

runtime:
  rollbacks: {{strategy: always}}"""

_HYPOTHESIS = """\
steady-state-hypothesis:
  title: users are served, and every service is inside its objectives
  probes:
    - type: probe
      name: every objective is met, on the steady releases and limits
      tolerance: true
      provider: {{type: python, module: mirr.interfaces.chaostoolkit.probes, func: steady}}
    - type: probe
      name: the share of users' requests that go well
      tolerance: {{type: range, range: [{user_sli}, 1.0]}}
      provider: {{type: python, module: mirr.interfaces.chaostoolkit.probes, func: user_sli}}"""


def _method(fault: Fault, story: Story) -> Iterator[str]:
    service, fix = fault.service, FIXES[REMEDY[fault.mode]]
    named = {"mode": fault.mode.value, "service": service.value}
    yield from _activity("action", story.strikes.replace("SERVICE", service), "inject", **named)
    yield from _activity("probe", f"{service} misses an objective", "objective_lost", service=service, within_s=20)
    yield from _activity("probe", _felt(service), "blast_radius", spared=[str(one) for one in spared(service)])
    yield from _activity("action", f"the fix: {fix} of {service}".replace("_", " "), fix, service=service)
    yield from _activity("probe", "every objective is met again", "objectives_restored", within_s=30)
    if story.ends_itself:
        yield from _activity("action", story.ends_itself, "end_fault", **named)
        yield from _activity("probe", "every objective is met without it", "objectives_restored", within_s=30)


def _felt(service: Service) -> str:
    users = " and ".join(journey.replace("_", " ") for journey in spared(service))
    return f"users still {users}" if users else "how many users still get through"


def _activity(kind: str, name: str, func: str, **arguments: object) -> Iterator[str]:
    yield f"  - type: {kind}"
    yield f'    name: "{name}"'
    yield "    provider:"
    yield "      type: python"
    yield f"      module: mirr.interfaces.chaostoolkit.{kind}s"
    yield f"      func: {func}"
    if arguments:
        written = ", ".join(f"{key}: {_value(value)}" for key, value in arguments.items())
        yield f"      arguments: {{{written}}}"


def _value(value: object) -> str:
    return f"[{', '.join(map(str, value))}]" if isinstance(value, list) else str(value)


def _blast_radius(service: Service) -> str:
    """In words, who we believe is hit, and who is not."""
    callers = _callers(service)
    needs = "needs" if len(callers) == 1 else "need"
    hit = f"Blast radius: {' and '.join([service, *callers])}" if callers else "Blast radius: everyone"
    why = f", because {' and '.join(callers)} {needs} it" if callers else ", because every journey passes through it"
    users = " or ".join(journey.replace("_", " ") for journey in spared(service))
    return f"{hit}{why}{f'; users who {users} notice nothing' if users else ''}."


def _callers(service: Service) -> list[Service]:
    """Everyone who calls `service`, directly or through others."""
    direct = [caller for caller in Service if service in CALLS[caller]]
    found = {*direct, *(above for caller in direct for above in _callers(caller))}
    return [caller for caller in Service if caller in found]


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, width=116, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False)


if __name__ == "__main__":
    write_all()

"""`crashed/hung`: the process is stopped. It accepts connections and never answers."""

from __future__ import annotations

from collections.abc import Iterator

from mirr.chaos.errors import NoProcess
from mirr.chaos.form import ContainerForm, Mend, Texts
from mirr.chaos.sight import Sight
from mirr.chaos.tools import Tools
from mirr.env.vocabulary import FaultMode, Feature, Service

STARTS_WITHIN_S = 3.0
"""How long a container that was just restarted may take to have a process."""

_POLL_S = 0.1


def inject(tools: Tools, service: Service) -> Iterator[float]:
    """Stop the process. The kernel goes on accepting connections for it."""
    for _ in range(round(STARTS_WITHIN_S / _POLL_S)):
        try:
            tools.fleet.freeze(service)
        except NoProcess:
            yield _POLL_S
        else:
            return
    tools.fleet.freeze(service)


def landed(sight: Sight) -> bool:
    """The process is there, but it is stopped, and a scrape has had no answer."""
    return sight.container is not None and sight.container.hung and sight.feature(Feature.UP) == 0.0


def end(tools: Tools, service: Service) -> None:
    """The process goes on where it was. If it was restarted meanwhile, it runs, and nothing is done."""
    state = tools.fleet.state(service)
    if state is not None and state.hung:
        tools.fleet.thaw(service)


FORM = ContainerForm(
    mode=FaultMode.CRASHED,
    inject=inject,
    landed=landed,
    end=end,
    mend=Mend.RESTART,
    texts=Texts(
        happens="SIGSTOP stops the process of SERVICE. It still accepts connections and never answers, so its callers "
        "run into their timeouts.",
        reverts="the process is restarted",
        title="SERVICE hangs, and one restart brings it back",
        strikes="the process of SERVICE is stopped, so it hangs",
        fix="A restart fixes it: the new process answers.",
        other_fixes="A process that does nothing needs no CPU, and there is no earlier release.",
    ),
)

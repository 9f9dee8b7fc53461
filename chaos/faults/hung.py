"""`crashed/hung`: the process is stopped. It accepts connections and never answers."""

from __future__ import annotations

from collections.abc import Iterator

from mirr.chaos.form import ContainerForm, Mend, Texts
from mirr.chaos.sight import Sight
from mirr.chaos.tools import Tools
from mirr.env.vocabulary import FaultMode, Feature, Service


def inject(tools: Tools, service: Service) -> Iterator[float]:
    """Stop the process, in one stage. The kernel goes on accepting connections for it."""
    tools.fleet.freeze(service)
    return iter(())


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

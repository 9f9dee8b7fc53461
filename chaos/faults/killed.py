"""`crashed/killed`: the process is ended and stays down.

This is the smallest form. Copy it to begin a new one; CONTRIBUTING.md says what else a form needs.
"""

from __future__ import annotations

from collections.abc import Iterator

from mirr.chaos.form import ContainerForm, Mend, Texts
from mirr.chaos.sight import Sight
from mirr.chaos.tools import Tools
from mirr.env.vocabulary import FaultMode, Service


def inject(tools: Tools, service: Service) -> Iterator[float]:
    """Kill the process at once, in one stage."""
    tools.fleet.kill(service)
    return iter(())


def landed(sight: Sight) -> bool:
    """The container is there, but its process is not."""
    return sight.container is not None and not sight.container.running


def end(tools: Tools, service: Service) -> None:
    """Somebody else starts the process. If it runs already, nothing is done, because a restart would be an outage."""
    state = tools.fleet.state(service)
    if state is None or not state.running:
        tools.fleet.restart(service)


FORM = ContainerForm(
    mode=FaultMode.CRASHED,
    inject=inject,
    landed=landed,
    end=end,
    mend=Mend.RESTART,
    texts=Texts(
        happens="SIGKILL ends the process of SERVICE, and nothing starts it again. Its callers are refused at once.",
        reverts="the process is started again",
        title="SERVICE is killed, and one restart brings it back",
        strikes="the process of SERVICE is killed",
        fix="A restart fixes it: only the process is gone.",
        other_fixes="There is no earlier release to roll back to, and nothing runs that could be scaled.",
    ),
)

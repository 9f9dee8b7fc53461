"""The post-mortem of a recorded episode: what users felt, what caused it, what helped, what harmed, and what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from mirr.env.document import Block, Bullets, Document, Paragraph, Section, Table
from mirr.env.hindsight import Incident, Moment, incident_of
from mirr.env.record import Rollout
from mirr.env.reward import Merit, Outcome
from mirr.env.vocabulary import (
    Action,
    Breaks,
    Bursts,
    CheckLogs,
    Deploys,
    Diagnose,
    DiagnoseNone,
    Ends,
    Event,
    Fault,
    FaultMode,
    Journey,
    TrafficChanges,
    Wait,
    action_text,
)

_SIGNS_SHOWN = 3  # missed objectives of a window


@dataclass(frozen=True, kw_only=True)
class FaultText:
    """What people read about a fault."""

    happens: str  # what the world does to the service, and why that breaks it
    fix: str  # why the right fix works


Explain = Callable[[Fault], FaultText]

JOURNEY_TEXTS: dict[Journey, str] = {
    Journey.BROWSE: "browse the shop",
    Journey.SIGN_IN: "sign in",
    Journey.CHECK_OUT: "check out",
}
"""What users wanted."""

PREVENTION: dict[FaultMode, str] = {
    FaultMode.CRASHED: "Have a supervisor start {service} again when its process ends or stops answering.",
    FaultMode.MEMORY_LEAK: "Bound what {service} keeps in memory for its clients, and alert while memory still climbs.",
    FaultMode.OVERLOADED: "Give {service} room for such a load, or limit what a few clients may ask of it.",
    FaultMode.BAD_DEPLOY: "Send a part of the traffic to a new release of {service} first, and roll back by itself "
    "when errors, latency or memory rise.",
}
"""What keeps an incident of each mode from users next time."""

MERIT_TEXTS: dict[Merit, str] = {
    Merit.HARMLESS: "",
    Merit.CORRECT_DIAGNOSIS: "correct diagnosis",
    Merit.WRONG_DIAGNOSIS: "wrong diagnosis",
    Merit.LATE_DIAGNOSIS: "diagnosis that came too late to count",
    Merit.RIGHT_FIX: "right fix",
    Merit.REPEATED_FIX: "fix that changed nothing",
    Merit.WRONG_FIX: "wrong fix",
}
"""What each action was worth."""

HELPED = frozenset({Merit.CORRECT_DIAGNOSIS, Merit.RIGHT_FIX})


def postmortem(rollout: Rollout, explain: Explain) -> Document:
    """The document about a record. `explain` says what people read about a fault. Raises RecordError unless the record
    is whole and plays back."""
    incident = incident_of(rollout)
    return Document(
        title=f"Post-mortem: {_what(incident)}, seed {rollout.scenario.seed}",
        sections=(
            Section("Summary", (Paragraph(_summary(incident)),)),
            Section("Impact", _impact(incident)),
            Section("Cause and trigger", _causes(incident, explain)),
            Section("Resolution", (Paragraph(_resolution(incident, explain)),)),
            Section("What helped", (Bullets(tuple(_helped(incident)), "Nothing that was done helped."),)),
            Section("What harmed", (Bullets(tuple(_harmed(incident)), "Nothing that was done made it worse."),)),
            Section("Detection", (Paragraph(_detection(incident)),)),
            Section("Times", (_times(incident),)),
            Section("Action items", (Bullets(tuple(_items(incident)), "None."),)),
            Section("Timeline", (_timeline(incident),)),
        ),
    )


def _named(fault: Fault) -> str:
    return f"{fault.mode} on {fault.service}"


def _what(incident: Incident) -> str:
    return " and ".join(map(_named, incident.faults)) or "a false alarm"


def _summary(incident: Incident) -> str:
    report = incident.report
    ending = {
        Outcome.RESOLVED: f"It was resolved: {report.reason}.",
        Outcome.COLLAPSED: f"It ended in a collapse: {report.reason}.",
        Outcome.EXHAUSTED: f"It was not resolved: {report.reason}.",
    }
    requests, failed = _requests(incident)
    return (
        f"What happened was {_what(incident)}. On call was {incident.policy}, in the world "
        f"{incident.rollout.header['world']}. {ending[report.outcome]} {failed} of {requests} requests of users "
        f"failed, and objectives were missed for {report.harm.objective_lost_s:.0f} s."
    )


def _after_alarm(incident: Incident) -> Sequence[Moment]:
    """The windows that count as harm: all but the one that the alarm came from."""
    return incident.moments[1:]


def _requests(incident: Incident) -> tuple[int, int]:
    windows = [moment.snapshot for moment in _after_alarm(incident)]
    return sum(window.requests for window in windows), sum(window.failed_requests for window in windows)


def _impact(incident: Incident) -> tuple[Block, ...]:
    rows = []
    for journey, says in JOURNEY_TEXTS.items():
        counts = [moment.snapshot.journeys[journey] for moment in _after_alarm(incident)]
        requests, failed = sum(count.requests for count in counts), sum(count.failed for count in counts)
        rows.append((f"Users who wanted to {says}", str(requests), str(failed), _share(failed, requests)))
    requests, failed = _requests(incident)
    rows.append(("All", str(requests), str(failed), _share(failed, requests)))
    table = Table(("", "requests", "failed", "share"), tuple(rows))
    bad = [moment for moment in _after_alarm(incident) if moment.snapshot.failed_requests]
    if not bad:
        return (table, Paragraph("No request of a user failed."))
    worst = min(bad, key=lambda moment: moment.snapshot.user_sli)
    window = worst.snapshot
    return (
        table,
        Paragraph(
            f"The worst window was that of step {worst.step}: {window.failed_requests} of {window.requests} requests "
            f"failed ({_share(window.failed_requests, window.requests)})."
        ),
    )


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "-"


def _causes(incident: Incident, explain: Explain) -> tuple[Block, ...]:
    causes = tuple(f"{_named(fault)}: {explain(fault).happens}" for fault in incident.faults)
    triggers = tuple(
        f"{_when(moment)}, {_event_text(event)}." for moment in incident.moments for event in moment.events
    )
    return (
        Bullets(causes, "Nothing was broken."),
        Bullets(triggers, "Nothing else happened around it."),
    )


def _when(moment: Moment) -> str:
    return f"At {moment.begun_s:.0f} s (step {moment.step})" if moment.step else "Before the alarm"


def _event_text(event: Event) -> str:
    match event:
        case Breaks(fault):
            return f"{_named(fault)} began"
        case Ends(fault):
            return f"{_named(fault)} ended by itself"
        case Deploys(service):
            return f"a sound release of {service} was deployed"
        case TrafficChanges(first, last, over_s):
            return f"users came {first:.2f} to {last:.2f} times as often as usual, over {over_s:.0f} s"
        case Bursts(service, _, for_s):
            return f"a burst of requests came to {service}, for {for_s:.0f} s"


def _resolution(incident: Incident, explain: Explain) -> str:
    report = incident.report
    if report.outcome is not Outcome.RESOLVED:
        return f"There was none: {report.reason}."
    fixes = [
        f"{action_text(moment.action)} at {moment.begun_s:.0f} s."
        for moment in incident.by_merit(Merit.RIGHT_FIX)
        if moment.action is not None
    ]
    why = [explain(fault).fix for fault in incident.faults] if fixes else ["Nothing had to be fixed by hand."]
    return " ".join(["The right fix:" if len(fixes) == 1 else "The right fixes:"] * bool(fixes) + fixes + why)


def _helped(incident: Incident) -> Iterator[str]:
    faulty, diagnosed = {fault.service for fault in incident.faults}, False
    for moment in incident.moments:
        if isinstance(moment.action, CheckLogs) and moment.action.service in faulty and not diagnosed:
            yield f"{_told(moment)}: the log of the service that was broken, before the diagnosis."
        elif moment.merit in HELPED:
            diagnosed = diagnosed or moment.merit is Merit.CORRECT_DIAGNOSIS
            yield f"{_told(moment)}: {MERIT_TEXTS[moment.merit]}."


def _told(moment: Moment) -> str:
    assert moment.action is not None  # step 0 has no merit
    return f"{action_text(moment.action)} at {moment.begun_s:.0f} s"


def _harmed(incident: Incident) -> Iterator[str]:
    for moment in incident.by_merit(Merit.WRONG_DIAGNOSIS, Merit.LATE_DIAGNOSIS, Merit.REPEATED_FIX, Merit.WRONG_FIX):
        yield f"{_told(moment)}: {MERIT_TEXTS[moment.merit]}."
    idle = [
        moment
        for moment in incident.moments
        if isinstance(moment.action, Wait) and moment.open and moment.snapshot.failed_requests
    ]
    if idle:
        lost = sum(moment.snapshot.failed_requests for moment in idle)
        yield f"{_steps(len(idle))} of waiting with a fault that nobody had fixed, in which {lost} requests failed."


def _steps(number: int) -> str:
    return f"{number} {'step' if number == 1 else 'steps'}"


def _detected(incident: Incident) -> Moment | None:
    """The first window that misses an objective once something was broken."""
    begun = False
    for moment in incident.moments:
        begun = begun or any(isinstance(event, Breaks) for event in moment.events)
        if begun and moment.missed:
            return moment
    return None


def _detection(incident: Incident) -> str:
    moment = _detected(incident)
    if moment is None:
        return (
            "No window missed an objective because of a fault." if incident.faults else "There was nothing to detect."
        )
    more = len(moment.missed) - _SIGNS_SHOWN
    signs = "; ".join([*moment.missed[:_SIGNS_SHOWN], *([f"and {more} more"] if more > 0 else [])])
    return f"The first window that showed it was that of step {moment.step}: {signs}."


def _times(incident: Incident) -> Table:
    """Times and steps from the beginning of the first fault to its first sign, and from the alarm."""
    report = incident.report
    return Table(
        ("from", "to", "time", "steps"),
        (
            ("the fault began", "the first window that showed it", *_time_to_detect(incident)),
            ("the alarm", "the diagnosis", *_time(report.time_to_diagnose_s, report.steps_to_diagnose)),
            ("the alarm", "the start of the recovery", *_time(report.time_to_mitigate_s, report.steps_to_mitigate)),
            ("the alarm", "the end", *_time(incident.moments[-1].ended_s, report.steps)),
        ),
    )


def _time_to_detect(incident: Incident) -> tuple[str, str]:
    seen = _detected(incident)
    began = next((m for m in incident.moments if any(isinstance(event, Breaks) for event in m.events)), None)
    if seen is None or began is None:
        return _time(None, None)
    if seen.step == 0:  # what happens before the first window is not timed
        return "at the alarm", "0"
    return _time(seen.ended_s - began.begun_s, seen.step - began.step)


def _time(seconds: float | None, steps: int | None) -> tuple[str, str]:
    if seconds is None or steps is None:
        return "never", "-"
    return f"{seconds:.0f} s", str(steps)


def _items(incident: Incident) -> Iterator[str]:
    report = incident.report
    for fault in dict.fromkeys(incident.faults):
        yield PREVENTION[fault.mode].format(service=fault.service)
    for moment in incident.by_merit(Merit.WRONG_DIAGNOSIS):
        yield f"Write into the runbook what tells {_what(incident)} from {_answer(moment.action)}."
    if not report.diagnosis_correct and not incident.by_merit(Merit.WRONG_DIAGNOSIS):
        yield "Commit to a diagnosis before the fix: without one, a fix is a guess."
    if report.wrong_fixes:
        fixes = "1 fix was" if report.wrong_fixes == 1 else f"{report.wrong_fixes} fixes were"
        yield f"Read the log of a service before it is touched: {fixes} of the wrong kind or on the wrong service."
    if report.outcome is not Outcome.RESOLVED:
        yield f"Rehearse this incident: {incident.policy} did not resolve it in {_steps(report.steps)}."


def _answer(action: Action | None) -> str:
    match action:
        case Diagnose(service, mode):
            return f"{mode} on {service}"
        case DiagnoseNone():
            return "a false alarm"
        case _:
            raise AssertionError("only a diagnosis can be a wrong one")


def _timeline(incident: Incident) -> Table:
    rows = []
    for moment in incident.moments:
        requests, failed = moment.snapshot.requests, moment.snapshot.failed_requests
        rows.append(
            (
                f"{moment.begun_s:.0f} s",
                str(moment.step),
                "; ".join(_happened(moment)),
                f"{failed} of {requests}",
                "; ".join(moment.missed[:1]) + (f" (+{len(moment.missed) - 1})" if len(moment.missed) > 1 else ""),
            )
        )
    return Table(("time", "step", "what happened", "failed requests", "objectives missed"), tuple(rows))


def _happened(moment: Moment) -> Iterator[str]:
    if moment.action is None:
        yield "the alarm"
    else:
        worth = f" ({MERIT_TEXTS[moment.merit]})" if MERIT_TEXTS[moment.merit] else ""
        yield f"{action_text(moment.action)}{worth}: {moment.result}" if moment.result else action_text(moment.action)
    for event in moment.events:
        yield _event_text(event)

"""One client's session as OpenEnv's Environment: episodes in a world of its own."""

from __future__ import annotations

import html
import secrets
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

# openenv ships no types.
from openenv.core.env_server.interfaces import Environment as OpenEnvEnvironment  # type: ignore[import-untyped]
from openenv.core.env_server.types import EnvironmentMetadata  # type: ignore[import-untyped]

from mirr.env.environment import Environment, EpisodeError
from mirr.env.quoting import shortened
from mirr.env.rendering import History
from mirr.env.scenario import EpisodeConfig, Scenario, draw
from mirr.env.tiers import TIERS
from mirr.env.vocabulary import ACTIONS, PACK_ACTIONS, Tier, parse_tier
from mirr.env.world import World, WorldError
from mirr.interfaces.openenv.models import MirrAction, MirrObservation, MirrState, report_json, to_wire
from mirr.interfaces.openenv.rubric import IncidentRubric
from mirr.interfaces.openenv.tasks import Split, parse_split, situation_of, task_at, tasks_of

WorldSource = Callable[[], AbstractContextManager[World]]
"""Opens a world, and closes it at the end. The server decides which world."""

NAME = "mirr"
DESCRIPTION = "One of five services breaks: find out which and why, commit to a diagnosis, and fix it, in 30 steps."
README = Path(__file__).parents[1] / "README.md"

_SEED_BITS = 48
_LONGEST_ID = 255  # OpenEnv's limit over HTTP


@dataclass(frozen=True, kw_only=True)
class _Incident:
    """What a reset asks for."""

    scenario: Scenario
    config: EpisodeConfig
    situation: str


class IncidentEnvironment(OpenEnvEnvironment):  # type: ignore[misc]  # Environment is Any: openenv ships no types
    """A session. It opens its world at the first reset. So a session that only asks for tasks or a schema, such as a
    plain HTTP request, opens no world."""

    SUPPORTS_CONCURRENT_SESSIONS = True

    def __init__(
        self,
        open_world: WorldSource,
        fresh_seed: Callable[[], int] = lambda: secrets.randbits(_SEED_BITS),
        tier: Tier = Tier.EASY,
    ) -> None:
        super().__init__(rubric=IncidentRubric())
        self._open_world = open_world
        self._fresh_seed = fresh_seed
        self._tier = tier
        self._held = ExitStack()
        self._world: World | None = None
        self._episode: Environment | None = None
        self._state = MirrState()
        self._history = History()
        self._closed = False
        self._turn = threading.Lock()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Refuses a call that comes while another is under way, before anything happens."""
        if not self._turn.acquire(blocking=False):
            raise EpisodeError(
                "another call of this session is under way, so this one was not taken; next: wait for its answer"
            )
        try:
            yield
        finally:
            self._turn.release()

    def reset(
        self,
        seed: int | None = None,
        episode_id: str | None = None,
        split: str | None = None,
        index: int | None = None,
        tier: str | None = None,
        **unknown: Any,
    ) -> MirrObservation:
        """Begin a new incident: that of `seed` in `tier`, that of task `index` in `split`, or any. Without a tier, it
        is that of the server."""
        if unknown:
            raise EpisodeError(
                f"reset takes seed, tier, episode_id, split and index; got {shortened(', '.join(sorted(unknown)))}"
            )
        incident = self._incident(seed, tier, split, index)
        name = _checked_id(episode_id)
        with self._alone():
            return self._begun(incident, name)

    def _begun(self, incident: _Incident, name: str) -> MirrObservation:
        episode = Environment(self._opened(), incident.config)
        self.rubric.reset()
        self._episode = episode
        self._state = MirrState(episode_id=name, earned=dict(self.rubric.earned))
        try:
            seen, _ = episode.reset(scenario=incident.scenario)
        except WorldError:
            self._note_end(episode)
            raise
        self._state = MirrState(
            episode_id=name, steps_left=seen.steps_left, running=True, earned=dict(self.rubric.earned)
        )
        self._history.note(seen)
        return to_wire(
            seen,
            windows=self._history.windows,
            choices=_choices(incident.config),
            situation=incident.situation,
        )

    def _incident(self, seed: int | None, tier: str | None, split: str | None, index: int | None) -> _Incident:
        if split is None and index is None:
            named = self._tier if tier is None else parse_tier(tier)
            drawn = draw(self._fresh_seed() if seed is None else seed, tier=named)
            return _Incident(scenario=drawn, config=TIERS[named].config, situation=situation_of(TIERS[named].config))
        if split is None or index is None:
            raise EpisodeError("a task is named by its split and its index; got one of the two")
        if seed is not None or tier is not None:
            raise EpisodeError("reset takes a seed and a tier, or else a split and an index; a task has its own")
        task = task_at(split, index)
        return _Incident(scenario=task.scenario, config=task.config, situation=task.situation)

    def _opened(self) -> World:
        self._refuse_where_closed()
        if self._world is None:
            self._world = self._held.enter_context(self._open_world())
        return self._world

    def _refuse_where_closed(self) -> None:
        # The server closes a session that was silent for too long, but its WebSocket stays open.
        if self._closed:
            raise EpisodeError("this session has ended, as it was silent for too long; next: connect again")

    def step(self, action: MirrAction, timeout_s: float | None = None, **unknown: Any) -> MirrObservation:
        """Take an action and let one step pass. OpenEnv's `timeout_s` is ignored: it cannot shorten a step."""
        with self._alone():
            return self._stepped(action)

    def _stepped(self, action: MirrAction) -> MirrObservation:
        self._refuse_where_closed()
        episode = self._episode
        if episode is None:
            raise EpisodeError(
                "no episode is running in this session; call reset first, and stay on the WebSocket /ws: "
                "over HTTP, every call is a session of its own"
            )
        try:
            seen, reward, _, truncated, _ = episode.step(action.taken())
        except WorldError:
            self._note_end(episode)
            raise
        self._history.note(seen)
        observation = to_wire(
            seen,
            windows=self._history.windows,
            choices=_choices(episode.config),
            reward=reward,
            truncated=truncated,
            report=episode.report,
        )
        self.rubric(action, observation)
        self._state = MirrState(
            episode_id=self._state.episode_id,
            step_count=seen.step,
            steps_left=seen.steps_left,
            running=not observation.done,
            total_reward=self._state.total_reward + reward,
            earned=dict(self.rubric.earned),
            report=observation.report,
        )
        return observation

    def _note_end(self, episode: Environment) -> None:
        """The world failed: the episode is void, and the state says so. The client gets the error."""
        assert episode.report is not None
        self._state = self._state.model_copy(update={"running": False, "report": report_json(episode.report)})

    @property
    def state(self) -> MirrState:
        """The state of the episode."""
        return self._state

    def list_splits(self) -> list[str]:
        """The names of the splits."""
        return [str(split) for split in Split]

    def num_tasks(self, split: str) -> int:
        """How many tasks a split has."""
        return len(tasks_of(parse_split(split)))

    def list_tasks(self, split: str) -> list[dict[str, object]]:
        """All tasks of a split."""
        return self.get_task_range(split)

    def get_task(self, split: str, index: int) -> dict[str, object]:
        """One task."""
        return task_at(split, index).to_json()

    def get_task_range(self, split: str, start: int | None = None, stop: int | None = None) -> list[dict[str, object]]:
        """The tasks from `start` up to `stop`, as a slice."""
        return [task.to_json() for task in tasks_of(parse_split(split))[start:stop]]

    def get_metadata(self) -> EnvironmentMetadata:
        """Name, description and version of this environment."""
        readme = README.read_text(encoding="utf-8") if README.exists() else None
        return EnvironmentMetadata(name=NAME, description=DESCRIPTION, version=_version(), readme_content=readme)

    def render_web(self, observation: dict[str, Any]) -> str:
        """The text rendering as HTML. Log lines hold what clients of the services sent, so everything is escaped."""
        parts = [str(observation[key]) for key in ("situation", "text") if observation.get(key)]
        report = observation.get("report")
        if report:
            parts.append(f"{report['outcome']}: {report['reason']}; total reward {report['total_reward']:g}")
        return f"<pre>{html.escape(chr(10).join(parts))}</pre>"

    def close(self) -> None:
        """Close the world, after the step that is under way. Safe to call twice."""
        with self._turn:
            self._closed = True
            self._episode = None
            self._world = None
            self._held.close()


def _choices(config: EpisodeConfig) -> int:
    return len(PACK_ACTIONS if config.none_diagnosis else ACTIONS)


def _checked_id(episode_id: object) -> str:
    if episode_id is None:
        return uuid.uuid4().hex
    if not isinstance(episode_id, str) or not 0 < len(episode_id) <= _LONGEST_ID:
        raise EpisodeError(f"an episode_id is text of 1 to {_LONGEST_ID} characters")
    return episode_id


def _version() -> str:
    try:
        return version("mirr-lab")
    except PackageNotFoundError:
        return "0"  # the package is not installed

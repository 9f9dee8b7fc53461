"""docs/environment.md agrees with the code."""

from __future__ import annotations

import inspect
import re

from mirr.env.scenario import EpisodeConfig
from mirr.env.vocabulary import ACTIONS
from mirr.interfaces.gymnasium_envs import LAB_ID, MEDIUM_LAB_ID, MEDIUM_SIM_ID, SIM_ID, spaces
from mirr.interfaces.gymnasium_envs.single import lab_env, sim_env
from mirr.interfaces.gymnasium_envs.vector import SimVectorEnv
from tests.env.environment_page import PAGE, filled

TEXT = PAGE.read_text(encoding="utf-8")


def test_every_table_agrees_with_the_code() -> None:
    assert filled(TEXT) == TEXT, "write the tables again: python -m tests.env.environment_page"


def test_the_page_has_the_usual_headings_in_the_usual_order() -> None:
    assert re.findall(r"^## (.+)$", TEXT, re.M) == [
        "Observation",
        "Action",
        "Reward",
        "Starting state",
        "Episode end",
        "Arguments",
        "Seeds",
        "State",
        "Policies",
        "Versions",
    ]


def test_the_page_has_all_keys_and_spaces_of_an_observation() -> None:
    rows = re.findall(r"^\| `(\w+)` \| `(\w+)`?\(?(\d+)?\)?`?", TEXT, re.M)
    documented = {key: (kind, size) for key, kind, size in rows}
    space = spaces.observation_space(EpisodeConfig().max_steps, logs=True)
    assert {key: (type(each).__name__, str(each.n) if hasattr(each, "n") else "") for key, each in space.items()} == {
        key: documented[key] for key in space
    }


def test_the_page_has_the_ids_and_the_number_of_actions() -> None:
    assert f"| `{SIM_ID}` |" in TEXT
    assert f"| `{LAB_ID}` |" in TEXT
    assert f"| `{MEDIUM_SIM_ID}`, `{MEDIUM_LAB_ID}` |" in TEXT
    assert f"`Discrete({len(ACTIONS)})`:" in TEXT


def test_the_page_has_every_argument() -> None:
    section = TEXT.partition("## Arguments")[2].partition("<!-- table")[0]
    cells = "".join(line.split("|")[1] for line in section.splitlines() if "|" in line)
    documented = set(re.findall(r"`(\w+)`", cells))
    accepted = {name for of in (sim_env, lab_env, SimVectorEnv) for name in inspect.signature(of).parameters}
    assert documented == accepted - {"num_envs"}

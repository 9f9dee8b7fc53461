"""The packs of the project are played on the simulator. The error for a wrong pack names the wrong place."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from statistics import mean

import pytest

from mirr.agents.registry import PolicyName, make_policy
from mirr.env.environment import Environment
from mirr.env.forms import all_forms
from mirr.env.rollout import EpisodeResult, play
from mirr.env.scenario import Scheduled
from mirr.env.simulator.world import SimulatedWorld
from mirr.env.vocabulary import Breaks, Bursts, Ends, Fault, FaultMode, Service, TrafficChanges
from mirr.scenarios.packs import PACK_CONFIG, PACKS, Pack, PackError, all_packs, load_pack
from tests.trials import first_is_quick

SEEDS = range(20)


def played(pack: Pack, policy: PolicyName, seeds: range = SEEDS) -> list[EpisodeResult]:
    environment = Environment(SimulatedWorld(), PACK_CONFIG)
    scenarios = [pack.scenario(seed) for seed in seeds]
    return [play(environment, make_policy(policy, scenario), scenario=scenario) for scenario in scenarios]


def reward(pack: Pack, policy: PolicyName) -> float:
    return mean(result.report.total_reward for result in played(pack, policy))


packs = pytest.mark.parametrize("pack", all_packs(), ids=lambda pack: pack.id)


def test_there_is_a_pack_for_every_kind_of_incident() -> None:
    found = all_packs()
    assert {len(pack.faults) for pack in found} == {0, 1, 2}
    assert any(entry.at_step for pack in found for entry in pack.faults)
    assert any(entry.heals_at_step for pack in found for entry in pack.faults)
    assert any(pack.deploys and pack.faults for pack in found)
    assert any(pack.deploys and not pack.faults for pack in found)


@packs
@pytest.mark.parametrize("policy", first_is_quick([PolicyName.ORACLE, PolicyName.HEURISTIC, PolicyName.DETECTIVE]))
def test_a_pack_can_be_resolved(pack: Pack, policy: PolicyName) -> None:
    results = played(pack, policy)
    assert [str(result.report.outcome) for result in results] == ["resolved"] * len(results)
    assert all(result.report.diagnosis_correct for result in results)


@packs
def test_no_title_or_symptom_gives_away_the_answer(pack: Pack) -> None:
    visible = f"{pack.title} {pack.symptom}".lower()
    assert not [mode for mode in ("crash", "leak", "overload", "bad deploy", "false alarm") if mode in visible]


@pytest.mark.thorough
@packs
def test_policies_that_ignore_the_observation_earn_less_than_the_heuristic(pack: Pack) -> None:
    honest = reward(pack, PolicyName.HEURISTIC)
    for policy in (PolicyName.WAIT, PolicyName.RANDOM, PolicyName.BRUTE_FORCE):
        assert reward(pack, policy) < honest - 20.0


def test_another_seed_changes_the_users_but_not_the_incident() -> None:
    pack = load_pack(PACKS / "two-in-turn.yaml")
    assert pack.scenario(9).seed == 9
    assert pack.scenario(9).timeline == pack.scenario().timeline
    assert pack.scenario().to_json() == {
        "name": "two-in-turn",
        "faults": [
            {"mode": "bad_deploy", "service": "inventory"},
            {"mode": "crashed", "service": "payments", "at_step": 8},
        ],
    }


HEAD = "id: mine\ntitle: T\nsymptom: S\ndifficulty: easy\n"
SEE = "see scenarios/README.md"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", f" is not YAML: line 1, column 5: expected the node content, but found '<stream end>'; {SEE}"),
        (
            HEAD + "faults: [{fault: crashed:auth}]\nfaults: []\n",
            f' is not YAML: line 6, column 1: "faults" is there a second time in the same mapping; {SEE}',
        ),
        (
            HEAD + "faults:\n  - fault: crashed:auth\n    at_step: 0\n    at_step: 3\n",
            f' is not YAML: line 8, column 5: "at_step" is there a second time in the same mapping; {SEE}',
        ),
        (
            HEAD + "faults: []\nseed: 1:30\n",
            f": seed (line 6): Input should be a valid integer; {SEE}",
        ),
        (
            HEAD + "faults: []\nseed: 18446744073709551616\n",
            f": seed (line 6): Input should be less than or equal to 18446744073709551615; {SEE}",
        ),
        (
            HEAD + "faults: []\nseed: " + "9" * 5_000,
            f" is not YAML: line 6, column 7: '{'9' * 60}'... (5000 characters) cannot be read as int; {SEE}",
        ),
        (HEAD + "faults: []\nseed: 1e999", f": seed (line 6): Input should be a valid integer; {SEE}"),
        (
            HEAD + "faults: []\nseed: !!timestamp 2001-13-45",
            f" is not YAML: line 6, column 7: '2001-13-45' cannot be read as timestamp; {SEE}",
        ),
        (HEAD + "faults: " + "[" * 16_000, f" is not YAML: line 5, column 29: it is nested more than 20 deep; {SEE}"),
        (HEAD + "faults: " + "{a: " * 4_000, f" is not YAML: line 5, column 89: it is nested more than 20 deep; {SEE}"),
        ("#" * 20_000, f" is not a scenario: it is larger than 16 KiB; {SEE}"),
        ("%YAML 1.1\n---\n" + HEAD, f" is not YAML: it says %YAML 1.1, and only YAML 1.2 is read; {SEE}"),
        (
            HEAD + "faults: []\n---\n",
            " is not YAML: line 6, column 1: expected a single document in the stream, but found another document; "
            + SEE,
        ),
        ("a: \x1b", f" is not YAML: unacceptable character #x001b: special characters are not allowed; {SEE}"),
        (
            HEAD + "faults: [{fault: 3}]",
            ": faults[0].fault (line 5): a fault is text, written MODE:SERVICE, as in bad_deploy:payments; " + SEE,
        ),
        (
            HEAD + "faults: []\ndeploys: [{service: [auth]}]",
            f": deploys[0].service (line 6): a service is text, one of: {', '.join(Service)}; {SEE}",
        ),
        ("5", f" is not a scenario: it must be a mapping that begins with id and title; {SEE}"),
        (HEAD, f": faults: is missing; {SEE}"),
        (HEAD + "faults: []\nhint: x\n", f": hint (line 6): is not a field of a scenario; {SEE}"),
        (
            HEAD.replace("mine", "other") + "faults: []\n",
            f": id is 'other'; it has to be the file's name, 'mine'; {SEE}",
        ),
        (
            HEAD + "faults: [{fault: crashd:auth}]",
            ": faults[0].fault (line 5): unknown fault mode 'crashd'; one of: crashed, memory_leak, overloaded, "
            f"bad_deploy; {SEE}",
        ),
        (
            HEAD + "faults: [{fault: crashed:auth, form: sleepy}]",
            ": faults[0].form (line 5): unknown form 'sleepy' of crashed; one of: "
            f"{', '.join(all_forms()[FaultMode.CRASHED])}; {SEE}",
        ),
        (
            HEAD + "faults: [{fault: overloaded:auth, severity: 9}]",
            ": faults[0].severity (line 5): the severity of overloaded/crowd is 1.15 to 1.9 times the CPU quota; "
            f"got 9; {SEE}",
        ),
        (
            HEAD + "faults: [{fault: crashed:auth, severity: 1}]",
            f": faults[0].severity (line 5): crashed/killed has no severity; got 1; {SEE}",
        ),
        (
            HEAD + "faults: [{fault: overloaded@1.5:auth, severity: 1.6}]",
            f": faults[0].severity (line 5): the fault is overloaded@1.5:auth, which names a severity already; {SEE}",
        ),
        (
            HEAD + "faults: [{fault: crashed:auth}]\ndeploys: [{service: web}]",
            ": deploys[0].service (line 6): unknown service 'web'; one of: gateway, auth, inventory, orders, payments; "
            + SEE,
        ),
        (
            HEAD + "faults: [{fault: crashed:auth, at_step: 30}]",
            f": faults[0].at_step (line 5): Input should be less than or equal to 24; {SEE}",
        ),
        (
            HEAD + "faults: [{fault: crashed:auth, at_step: 5}]",
            f": faults (line 5): one fault has to be there at step 0: an incident begins with what is broken; {SEE}",
        ),
        (
            HEAD + "faults: [{fault: crashed:auth, heals_at_step: 0}]",
            f": faults[0] (line 5): heals_at_step (0) has to be after at_step (0); {SEE}",
        ),
        (
            HEAD + "faults: [{fault: crashed:auth}, {fault: overloaded:auth}]",
            f": auth is named more than once; at most one fault, deploy or burst a service; {SEE}",
        ),
        (
            HEAD + "faults: [{fault: crashed:auth}, {fault: crashed:orders}, {fault: crashed:payments}]",
            f": faults (line 5): 3 faults; at most 2 in one pack; {SEE}",
        ),
    ],
)
def test_the_error_for_a_wrong_pack_names_the_wrong_place(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(PackError) as caught:
        load_pack(path)
    assert str(caught.value) == f"{path}{message}"


def test_a_byte_order_mark_at_the_beginning_is_no_part_of_a_pack(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(HEAD + "faults: [{fault: crashed:auth}]\n", encoding="utf-8-sig")
    assert load_pack(path).scenario().timeline == (Scheduled(0, Breaks(Fault.parse("crashed:auth"))),)


def test_a_pack_in_another_encoding_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(HEAD, encoding="utf-16")
    with pytest.raises(PackError) as caught:
        load_pack(path)
    assert str(caught.value) == f"cannot read the scenario {path}: it is not UTF-8 text; next: save it as UTF-8"


def test_a_pack_can_have_traffic_and_bursts(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    around = "traffic: [{first: 0.8}]\nbursts: [{service: orders, load: 0.3, for_s: 8, at_step: 2}]\n"
    path.write_text(HEAD + f"faults: [{{fault: crashed:auth}}]\n{around}")
    assert load_pack(path).scenario().timeline == (
        Scheduled(0, TrafficChanges(0.8, 0.8)),
        Scheduled(0, Breaks(Fault.parse("crashed:auth"))),
        Scheduled(2, Bursts(Service.ORDERS, 0.3, 8.0)),
    )


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (
            "traffic: [{first: 3.0}]",
            "traffic[0] (line 6): TrafficChanges(first=...) is a number from 0.75 to 1.3; got 3.0",
        ),
        (
            "bursts: [{service: orders, load: 0.9, for_s: 8}]",
            "bursts[0] (line 6): Bursts(load=...) is a number above 0 at most 0.35; got 0.9",
        ),
    ],
)
def test_surroundings_that_would_harm_are_refused(line: str, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(HEAD + f"faults: [{{fault: crashed:auth}}]\n{line}\n")
    with pytest.raises(PackError) as caught:
        load_pack(path)
    assert str(caught.value) == f"{path}: {problem}; {SEE}"


def test_a_pack_can_name_the_form_and_the_severity_of_a_fault(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(f"{HEAD}faults: [{{fault: overloaded:auth, form: crowd, severity: 1.8, heals_at_step: 9}}]\n")
    fault = Fault.parse("overloaded@1.8:auth")
    assert load_pack(path).scenario().timeline == (Scheduled(0, Breaks(fault)), Scheduled(9, Ends(fault)))


@pytest.mark.parametrize(("written", "seed"), [("010", 10), ("0o10", 8), ("0x10", 16), ("12", 12)])
def test_numbers_are_those_of_yaml_1_2(written: str, seed: int, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(f"{HEAD}faults: []\nseed: {written}\n")
    assert load_pack(path).seed == seed


@pytest.mark.parametrize("written", ["1_000", "0b11", "+0x10", "-0o7", "2001-12-14", "1:30"])
def test_a_seed_that_is_a_number_only_in_yaml_1_1_is_refused_with_its_line(written: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(f"{HEAD}faults: []\nseed: {written}\n")
    with pytest.raises(PackError) as caught:
        load_pack(path)
    assert str(caught.value) == f"{path}: seed (line 6): Input should be a valid integer; {SEE}"


def test_a_field_that_is_missing_deep_inside_names_the_line_of_what_lacks_it(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(f"{HEAD}faults:\n  - fault: crashed:auth\n  - at_step: 3\n")
    with pytest.raises(PackError) as caught:
        load_pack(path)
    assert str(caught.value) == f"{path}: faults[1].fault (line 7): is missing; {SEE}"


def test_a_pack_with_many_mistakes_names_the_first_ones(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(f"{HEAD}faults: []\n" + "".join(f"x{n}: 1\n" for n in range(100)))
    with pytest.raises(PackError, match=r": x0 \(line 6\): is not a field .*; x7 \(line 13\): .*; and 92 more; see "):
        load_pack(path)


@pytest.mark.parametrize("text", ["- " * 8_000, "? " * 8_000, "[" + "a," * 7_000 + "]", "a: 1\n" * 3_000])
def test_what_is_too_deep_or_too_much_is_refused_before_all_of_it_is_read(text: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(
        PackError,
        match=r"is not YAML: line \d+, column \d+: (it is nested more than 20 deep|there is too much in it); ",
    ):
        load_pack(path)


def test_a_tag_of_thousands_of_characters_is_not_quoted_whole(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(f"{HEAD}faults: []\nseed: !{'x' * 9_000} 1\n")
    with pytest.raises(PackError) as caught:
        load_pack(path)
    assert len(str(caught.value)) < 400


def test_anchors_that_repeat_each_other_without_end_are_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    laughs = "".join(f"  - &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]\n" for n in range(1, 40))
    path.write_text(f"{HEAD}faults:\n  - &l0 [x]\n{laughs}  - fault: *l39\n")
    with pytest.raises(PackError, match=r": faults\[0\] \(line 6\): Input should be .*; and 33 more; see "):
        load_pack(path)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("seed: !!int ''", r"line 6, column 7: '' cannot be read as int"),
        ("seed: !!omap [a: 1, a: 2]", r"it has something that cannot be read \(a value does not fit its tag\)"),
        (r'note: "\U00110000"', r"it has something that cannot be read \(chr\(\) arg not in range\(0x110000\)\)"),
    ],
)
def test_what_the_yaml_library_does_not_expect_is_refused_in_words(line: str, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(f"{HEAD}faults: []\n{line}\n")
    with pytest.raises(PackError, match=rf"mine\.yaml is not YAML: {problem}; see "):
        load_pack(path)


@pytest.mark.parametrize("directive", ["%YAML 1.2", "%YAML 1.2 # as in the standard"])
def test_a_directive_may_say_yaml_1_2(directive: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(f"{directive}\n---\n{HEAD}faults: []\n")
    assert load_pack(path).faults == ()


def test_merges_of_merges_without_end_are_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    laughs = "".join(f"a{n}: &l{n} {{<<: [{', '.join([f'*l{n - 1}'] * 9)}]}}\n" for n in range(1, 40))
    path.write_text(f"{HEAD}faults: []\na0: &l0 {{x: 1}}\n{laughs}")
    with pytest.raises(PackError, match=r"line 10, column 5: merged mappings have more than 1000 keys; see "):
        load_pack(path)


def test_a_silent_pipe_is_no_pack(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    os.mkfifo(path)
    with pytest.raises(PackError, match=r"mine\.yaml: it is a pipe; next: name a file$"):
        load_pack(path)


@pytest.mark.thorough
def test_packs_can_be_imported_without_their_yaml_library() -> None:
    code = "import sys, mirr.scenarios.packs; print(sorted({'ruamel', 'ruamel.yaml', 'yaml'} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_error_for_a_missing_pack_names_the_file() -> None:
    with pytest.raises(PackError, match=r"^cannot read the scenario nowhere\.yaml: No such file or directory$"):
        load_pack(Path("nowhere.yaml"))

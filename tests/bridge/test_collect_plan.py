"""The plan of a collection: what is in it, and what comes first."""

from __future__ import annotations

import pytest

from mirr.bridge.collect_plan import DEEDS, Design, Part, deeds, parse_part, plan
from mirr.bridge.recording import Play, PlayKind, Role, in_role, role_of
from mirr.chaos.faults import faults
from mirr.env.forms import numbered_forms
from mirr.env.vocabulary import Fault, Service, Tier, UnknownName, Wait, action_text

PROBES = Design(parts=(Part.PROBES,), rounds=1)


def probes(design: Design) -> list[Play]:
    return [play for play in plan(design) if play.kind is PlayKind.PROBE]


def test_the_first_probes_wait_and_the_next_apply_the_right_fix_to_each_form() -> None:
    forms = len(numbered_forms())
    first = probes(PROBES)[: 2 * forms]
    assert [play.deed for play in first[:forms]] == ["wait"] * forms
    assert len({str(play.fault).partition(":")[0] for play in first[:forms]}) == forms
    assert {str(play.target_role) for play in first[forms:]} == {"culprit"}
    assert {play.deed for play in first[forms:]} == {"restart", "rollback", "scale_up"}


def test_the_whole_plan_has_every_form_on_every_service_with_every_action_on_every_role() -> None:
    found = {(str(play.fault), play.deed, play.target_role) for play in probes(PROBES)}
    wanted = {(str(fault), "wait", None) for fault in faults()} | {
        (str(fault), deed, role)
        for fault in faults()
        for deed in ("restart", "rollback", "scale_up")
        for role in Role
        if in_role(role, fault.service)
    }
    assert found == wanted


def test_every_key_is_unique_and_each_round_has_the_same_names() -> None:
    played = plan(Design(parts=tuple(Part), policies=("wait", "oracle"), rounds=2))
    assert len({play.key for play in played}) == len(played)
    names = [sorted(play.name for play in played if play.round == number) for number in range(2)]
    assert names[0] == names[1]


def test_both_rounds_of_a_block_come_before_the_next_block() -> None:
    rounds = [play.round for play in probes(Design(parts=(Part.PROBES,), rounds=2))]
    forms = len(numbered_forms())
    assert rounds[: 2 * forms] == [0] * forms + [1] * forms


@pytest.mark.thorough
def test_a_play_has_the_same_seed_in_every_plan() -> None:
    small, large = plan(Design(passes=1)), plan(Design(passes=5, rounds=3))
    seeds = {play.key: play.seed for play in large}
    assert [seeds[play.key] for play in small] == [play.seed for play in small]


def test_episodes_come_from_every_tier_with_the_same_seed_in_each_round() -> None:
    episodes = [play for play in plan(Design(passes=1)) if play.kind is PlayKind.RANDOMISED]
    assert {play.tier for play in episodes} == set(Tier)
    assert {play.seed for play in episodes if play.round == 0} == {play.seed for play in episodes if play.round == 1}
    assert len(episodes) == DEEDS * 2 * len(Tier)


def test_every_policy_plays_a_seed_before_the_next_seed_is_played() -> None:
    design = Design(parts=(Part.POLICIES,), policies=("wait", "oracle"), policy_seeds=range(2), rounds=1)
    assert [(play.seed, play.policy) for play in plan(design)] == [
        (0, "wait"),
        (0, "oracle"),
        (1, "wait"),
        (1, "oracle"),
    ]
    assert {play.tier for play in plan(design)} == {tuple(Tier)[-1]}


@pytest.mark.parametrize(
    ("culprit", "neighbours", "unrelated"),
    [
        ("gateway", "auth inventory orders payments", ""),
        ("auth", "gateway", "inventory orders payments"),
        ("inventory", "gateway orders", "auth payments"),
        ("orders", "gateway inventory payments", "auth"),
        ("payments", "gateway orders", "auth inventory"),
    ],
)
def test_neighbours_call_the_culprit_or_are_called_by_it(culprit: str, neighbours: str, unrelated: str) -> None:
    assert " ".join(in_role(Role.NEIGHBOUR, Service(culprit))) == neighbours
    assert " ".join(in_role(Role.UNRELATED, Service(culprit))) == unrelated
    assert in_role(Role.CULPRIT, Service(culprit)) == (Service(culprit),)


def test_without_a_culprit_everybody_is_unrelated() -> None:
    assert {role_of(service, None) for service in Service} == {Role.UNRELATED}


def test_the_services_of_a_role_take_turns() -> None:
    fault = Fault.parse("bad_deploy:payments")
    on_neighbours = [deeds(fault, turn)[2] for turn in range(3)]
    assert [action_text(action or Wait()) for action in on_neighbours] == [
        "rollback(gateway)",
        "rollback(orders)",
        "rollback(gateway)",
    ]


def test_nobody_is_unrelated_to_the_gateway_so_three_deeds_are_left_out() -> None:
    assert deeds(Fault.parse("crashed:gateway"), 0).count(None) == 3


def test_an_unknown_part_is_refused() -> None:
    with pytest.raises(UnknownName) as refused:
        parse_part("probe")
    assert str(refused.value) == "unknown part 'probe'; one of: probes, episodes, policies"

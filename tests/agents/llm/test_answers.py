"""Answers of models: every action can be called as a tool and written as text, and nonsense is named."""

from __future__ import annotations

import json

import pytest

from mirr.agents.llm.answers import NoAction, action_in, action_of_call, call_of, how_to_write, tools
from mirr.env.scenario import EpisodeConfig
from mirr.env.vocabulary import PACK_ACTIONS, Action, action_text, parse_action

PACK = EpisodeConfig(none_diagnosis=True)


def test_there_is_one_tool_for_each_kind_of_action() -> None:
    names = [tool["function"]["name"] for tool in tools(EpisodeConfig())]
    assert names == ["wait", "check_logs", "diagnose", "restart", "rollback", "scale_up"]
    assert [tool["function"]["name"] for tool in tools(PACK)] == [*names, "diagnose_none"]


def test_the_schema_of_a_tool_has_the_names_of_the_vocabulary() -> None:
    diagnose = next(tool["function"] for tool in tools(PACK) if tool["function"]["name"] == "diagnose")
    properties = diagnose["parameters"]["properties"]
    assert properties["service"]["enum"] == ["gateway", "auth", "inventory", "orders", "payments"]
    assert properties["mode"]["enum"] == ["crashed", "memory_leak", "overloaded", "bad_deploy"]
    assert diagnose["parameters"]["required"] == ["service", "mode"]
    assert json.loads(json.dumps(diagnose)) == diagnose


@pytest.mark.parametrize("action", PACK_ACTIONS, ids=action_text)
def test_every_action_can_be_called_and_written(action: Action) -> None:
    name, arguments = call_of(action)
    assert action_of_call(name, json.dumps(arguments)) == action
    assert action_of_call(name, arguments) == action
    assert action_in(action_text(action)) == action
    assert action_in(json.dumps({"name": name, "arguments": arguments})) == action


@pytest.mark.parametrize(
    ("text", "action"),
    [
        ("I would look first.\n\n**check_logs(auth)**", "check_logs(auth)"),
        ("restart(auth) would be too soon, so: `diagnose( payments ,bad_deploy )`.", "diagnose(payments, bad_deploy)"),
        ("Diagnose(service=payments, mode='bad_deploy')", "diagnose(payments, bad_deploy)"),
        ("<think>restart(auth)? No.</think>\nWait.", "wait"),
        ("scale_up(orders)\nThat should help; then we wait and see.", "scale_up(orders)"),
        ("diagnose(none)", "diagnose(none)"),
        ('<tool_call>{"name": "rollback", "arguments": {"service": "orders"}}</tool_call>', "rollback(orders)"),
        ('{"name": "wait", "parameters": {}}', "wait"),
    ],
)
def test_the_last_action_in_a_text_counts(text: str, action: str) -> None:
    assert action_in(text) == parse_action(action)


@pytest.mark.parametrize("text", ["", "I wait for more data", "restart(everything)", "{}", "{" * 5000, "]["])
def test_a_text_without_an_action_is_named(text: str) -> None:
    with pytest.raises(NoAction, match=r"^there is no action in the answer "):
        action_in(text)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("restart", '{"service": "shop"}', "restart cannot take the arguments {'service': 'shop'}"),
        ("restart", "", "restart cannot take the arguments {}"),
        ("restart", "auth", "the arguments of 'restart' are not JSON: 'auth'"),
        ("reboot", "{}", "there is no tool 'reboot' with the arguments {}"),
        (None, "[]", "there is no tool None with the arguments []"),
        ("restart", '["auth"]', "there is no tool 'restart' with the arguments ['auth']"),
    ],
)
def test_a_call_that_means_no_action_is_named(name: object, arguments: str, message: str) -> None:
    with pytest.raises(NoAction) as refused:
        action_of_call(name, arguments)
    assert str(refused.value) == message


def test_a_model_without_tools_is_told_how_to_write_each_action() -> None:
    text = how_to_write(EpisodeConfig())
    assert "- diagnose(SERVICE, MODE): Say which service is broken, and how. It cannot be taken back.\n" in text
    assert "diagnose(none)" not in text
    assert "- diagnose(none): " in how_to_write(PACK)

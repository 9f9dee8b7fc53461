"""Clients send wrong messages, by mistake or on purpose. Each one gets an answer, and the server goes on."""

from __future__ import annotations

import json
import random
import socket
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin

from mirr.interfaces.openenv.server.guard import MAX_MESSAGE_BYTES
from tests.interfaces.openenv.servers import Served

pytestmark = pytest.mark.thorough

MALFORMED: list[tuple[str | bytes, str]] = [
    ("", "Invalid JSON: Expecting value: line 1 column 1 (char 0)"),
    ("{", "Invalid JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
    ("null", "Invalid message: a JSON object is expected"),
    ("[1, 2]", "Invalid message: a JSON object is expected"),
    ('"reset"', "Invalid message: a JSON object is expected"),
    (b"\x00\xff", "Invalid JSON: a binary frame; send text"),
    ("[" * 20_000, "Invalid JSON: nested too deeply"),
    ('{"type": "step", "data": {"action": NaN}}', "Invalid JSON: Out of range float values are not JSON compliant"),
    ('{"type": "reset", "data": {"episode_id": "\\ud800"}}', "Invalid JSON: 'utf-8' codec can't encode character"),
    (
        '{"type": "step", "data": {"action": "wait", "action": "restart(auth)"}}',
        "Invalid JSON: action is there a second time in the same object",
    ),
    ('{"type": "reset", "data": {"seed": 1' + "0" * 5000 + "}}", "Invalid JSON: Exceeds the limit"),
]

WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({}, "UNKNOWN_TYPE", "Unknown message type: "),
    ({"type": "explode"}, "UNKNOWN_TYPE", "Unknown message type: explode"),
    ({"type": ["reset"]}, "UNKNOWN_TYPE", "Unknown message type: ['reset']"),
    ({"type": "step", "data": {"action": "wait"}}, "EXECUTION_ERROR", "no episode is running in this session; "),
    ({"type": "step"}, "VALIDATION_ERROR", "Invalid message"),
    ({"type": "step", "data": {}}, "VALIDATION_ERROR", "Invalid message"),
    ({"type": "step", "data": "wait"}, "VALIDATION_ERROR", "Invalid message"),
    ({"type": "step", "data": {"action": -1}}, "VALIDATION_ERROR", "Invalid message"),
    ({"type": "step", "data": {"action": 42}}, "VALIDATION_ERROR", "Invalid message"),
    ({"type": "step", "data": {"action": {"$ref": "x"}}}, "VALIDATION_ERROR", "Invalid message"),
    ({"type": "step", "data": {"action": "wait", "more": 1}}, "VALIDATION_ERROR", "Invalid message"),
    ({"type": "reset", "data": []}, "VALIDATION_ERROR", "Invalid message"),
    ({"type": "reset", "data": {"seed": -1}}, "EXECUTION_ERROR", "a seed is a whole number from 0 up; got -1"),
    ({"type": "reset", "data": {"seed": "x"}}, "EXECUTION_ERROR", "a seed is a whole number from 0 up; got 'x'"),
    ({"type": "reset", "data": {"self": 1}}, "EXECUTION_ERROR", ""),
    (
        {"type": "reset", "data": {"split": {}, "index": 0}},
        "EXECUTION_ERROR",
        "unknown split {}; one of: train, test, train_medium, test_medium, train_hard, test_hard",
    ),
    ({"type": "state", "data": {"a": 1}}, "VALIDATION_ERROR", "Invalid message"),
]


def answer_to(session: Any, message: str | bytes) -> dict[str, Any]:
    session.send(message)
    answer: dict[str, Any] = json.loads(session.recv(timeout=30))
    return answer


def plays(session: Any) -> bool:
    """Whether a client can start and play an episode on this connection."""
    begun = answer_to(session, json.dumps({"type": "reset", "data": {"seed": 1}}))
    stepped = answer_to(session, json.dumps({"type": "step", "data": {"action": "wait"}}))
    return bool(begun["type"] == stepped["type"] == "observation" and stepped["data"]["observation"]["step"] == 1)


def test_a_malformed_frame_gets_an_error_and_the_session_goes_on(server: Served) -> None:
    with connect(server.ws_url) as session:
        for frame, message in MALFORMED:
            answer = answer_to(session, frame)
            assert (answer["type"], answer["data"]["code"]) == ("error", "INVALID_JSON"), frame[:60]
            assert answer["data"]["message"].startswith(message)
        assert plays(session)


def test_a_wrong_message_gets_an_error_and_the_session_goes_on(server: Served) -> None:
    with connect(server.ws_url) as session:
        for content, code, message in WRONG:
            answer = answer_to(session, json.dumps(content))
            assert (answer["type"], answer["data"]["code"]) == ("error", code), content
            assert answer["data"]["message"].startswith(message)
            assert "Traceback" not in json.dumps(answer)
        assert plays(session)


def test_a_step_after_the_end_gets_an_error_and_a_reset_starts_a_new_episode(server: Served) -> None:
    with connect(server.ws_url) as session:
        answer_to(session, json.dumps({"type": "reset", "data": {"seed": 3}}))
        wait = json.dumps({"type": "step", "data": {"action": "wait"}})
        while not (answer := answer_to(session, wait))["data"]["done"]:
            pass
        assert answer["data"]["observation"]["report"] is not None
        assert answer_to(session, wait)["data"]["message"] == "no episode is running; call reset(seed=...) first"
        assert plays(session)


def test_hundreds_of_random_frames_each_get_an_answer(server: Served) -> None:
    dice = random.Random(20261122)
    with connect(server.ws_url) as session:
        for _ in range(500):
            answer = answer_to(session, _random_frame(dice))
            assert answer["type"] in {"error", "observation", "state", "mcp"}
        assert plays(session)


def _random_frame(dice: random.Random) -> str | bytes:
    match dice.randrange(4):
        case 0:
            return dice.randbytes(dice.randrange(200))
        case 1:
            return "".join(chr(dice.choice([*range(32, 127), 0, 0x2028, 0x1F600])) for _ in range(dice.randrange(60)))
        case 2:
            kind = dice.choice(["reset", "step", "state", "mcp", "", "close?"])
            return json.dumps({"type": kind, "data": _random_value(dice, 3)})
        case _:
            whole = json.dumps({"type": "step", "data": {"action": dice.randrange(-5, 50)}})
            return whole[: dice.randrange(len(whole) + 1)] if dice.random() < 0.5 else whole


def _random_value(dice: random.Random, depth: int) -> Any:
    match dice.randrange(8 if depth else 5):
        case 0:
            return dice.choice([None, True, False])
        case 1:
            return dice.choice([0, -1, 10**30, 1e308, 0.5])
        case 2 | 3 | 4:
            return dice.choice(["wait", "train", "", "\x00", "restart(auth)", "x" * 300])
        case 5:
            return [_random_value(dice, depth - 1) for _ in range(dice.randrange(4))]
        case _:
            names = ["seed", "episode_id", "split", "index", "action", "metadata", "injected_state", "__class__"]
            return {dice.choice(names): _random_value(dice, depth - 1) for _ in range(dice.randrange(4))}


def test_a_frame_that_is_too_long_ends_only_its_own_session(server: Served) -> None:
    with connect(server.ws_url) as other, connect(server.ws_url) as session:
        with pytest.raises(ConnectionClosed) as closed:
            answer_to(session, " " * (MAX_MESSAGE_BYTES + 1))
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1009
        assert plays(other)


def test_clients_that_leave_before_the_answer_cause_no_traceback(server: Served) -> None:
    # The fixture `server` checks stderr at the end. A traceback there makes the tests fail.
    for _ in range(40):
        with connect(server.ws_url) as session:
            for seed in range(5):
                session.send(json.dumps({"type": "reset", "data": {"seed": seed}}))
            session.socket.shutdown(socket.SHUT_RDWR)
    with connect(server.ws_url) as session:
        assert plays(session)


def test_a_web_page_from_another_host_cannot_play(server: Served) -> None:
    with pytest.raises(InvalidStatus) as refused, connect(server.ws_url, origin=Origin("https://elsewhere.example")):
        pass
    assert refused.value.response.status_code == 403
    answer = httpx.post(f"{server.url}/reset", json={}, headers={"Origin": "https://elsewhere.example"})
    assert (answer.status_code, answer.json()) == (403, {"detail": "a web page of another host may not do this"})
    with connect(server.ws_url, origin=Origin(server.url)) as own:
        assert plays(own)


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/reset", b'{"seed": 5}', 200),
        ("/reset", b'{"seed": null}', 200),
        ("/reset", b'{"seed": -5}', 422),
        ("/reset", b'{"seed": "\\ud800"}', 400),
        ("/reset", b'{"sede": 1}', 409),
        ("/reset", b'{"split": "dev", "index": 1}', 422),
        ("/reset", b"[" * 30_000, 400),
        ("/reset", b"\xff\xfe\x00", 400),
        ("/reset", b'{"seed": ' + b"9" * 5000 + b"}", 400),
        ("/reset", b" " * (MAX_MESSAGE_BYTES + 1), 413),
        ("/step", b'{"action": {"action": "wait"}}', 409),
        ("/step", b'{"action": {"action": 99}}', 422),
        ("/step", b'{"action": "wait"}', 422),
        ("/step", b"null", 422),
        ("/mirr/task", b'{"split": "test", "index": 99999}', 400),
        ("/mirr/task", b'{"split": "test", "index": -1}', 400),
        ("/mirr/num_tasks", b'{"split": "dev"}', 422),
        ("/nobody/num_tasks", b'{"split": "test"}', 404),
        ("/mcp", b'{"jsonrpc": "2.0", "method": "tools/list", "id": 1}', 200),
        ("/mcp", b"[]", 200),
        ("/mcp", b'{"method": "\\ud800"}', 400),
    ],
)
def test_every_request_gets_an_answer_and_never_status_500(server: Served, path: str, body: bytes, status: int) -> None:
    answer = httpx.post(server.url + path, content=body, headers={"Content-Type": "application/json"}, timeout=30)
    assert answer.status_code == status, answer.text
    assert "Traceback" not in answer.text
    answer.json()


@pytest.mark.parametrize(
    ("written", "shown"), [("true", "True"), ("1.0", "1.0"), ('"7"', "'7'"), ("-5", "-5"), ("[1]", "[1]")]
)
def test_a_seed_over_plain_http_is_checked_as_it_is_everywhere(server: Served, written: str, shown: str) -> None:
    body = f'{{"seed": {written}}}'.encode()
    answer = httpx.post(f"{server.url}/reset", content=body, headers={"Content-Type": "application/json"}, timeout=30)
    assert (answer.status_code, answer.json()["detail"]) == (422, f"a seed is a whole number from 0 up; got {shown}")


def test_a_step_over_plain_http_says_where_to_play_episodes(server: Served) -> None:
    answer = httpx.post(f"{server.url}/step", json={"action": {"action": "wait"}})
    assert answer.json()["detail"].startswith("no episode is running in this session; call reset first, and stay on")


def test_a_malformed_mcp_frame_gets_a_json_rpc_error(server: Served) -> None:
    with connect(server.ws_url.replace("/ws", "/mcp")) as session:
        assert answer_to(session, "[]") == {
            "jsonrpc": "2.0",
            "error": {"code": -32700, "message": "Invalid message: a JSON object is expected"},
            "id": None,
        }
        answer = answer_to(session, json.dumps({"jsonrpc": "2.0", "method": "tools/list", "id": 7}))
        assert answer["error"]["message"] == "Environment does not support MCP"

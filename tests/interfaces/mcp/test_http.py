"""Tests of `mirr mcp` over HTTP, with good clients and hostile clients."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from tests.interfaces.mcp.player import Served, call, play_by_tools, served

pytestmark = pytest.mark.thorough

CLIENTS = 100
HEADERS = {"content-type": "application/json", "accept": "application/json, text/event-stream"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server with enough episodes for all tests here. It must run to the end, without a traceback."""
    directory = tmp_path_factory.mktemp("mcp")
    with served(directory, "--seed", "7", "--episodes", "200", "--record", str(directory)) as server:
        yield server
        assert server.process.poll() is None
    assert "Traceback" not in server.errors.read_text()
    assert server.process.returncode == 130


def post(server: Served, message: object, **headers: str) -> requests.Response:
    return requests.post(server.url, data=json.dumps(message), headers=HEADERS | headers, timeout=60)


def request(method: str, number: int = 1, **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": params}


def test_a_client_resolves_an_episode_over_http(server: Served) -> None:
    episode_id = server.next_id()

    async def talk() -> None:
        from fastmcp import Client

        async with Client(server.url) as client:
            answer, _ = await play_by_tools(client, episode_id)
            assert answer["ending"]["outcome"] == "resolved"
            assert answer["ending"]["diagnosis_correct"] is True

    asyncio.run(talk())


def test_another_client_with_the_same_id_can_continue_the_episode(server: Served) -> None:
    episode_id = server.next_id()

    async def talk() -> list[int]:
        from fastmcp import Client

        steps = []
        for _ in range(2):
            async with Client(server.url) as client:
                steps.append((await call(client, "wait", {"episode_id": episode_id}))["step"])
        return steps

    assert asyncio.run(talk()) == [1, 2]


def test_ids_are_not_listed_over_http(server: Served) -> None:
    answer = post(server, request("tools/list")).json()
    assert "list_episodes" not in [tool["name"] for tool in answer["result"]["tools"]]


def test_a_hundred_clients_at_once_all_get_answers(server: Served) -> None:
    ids = [server.next_id() for _ in range(CLIENTS)]

    def visit(episode_id: str) -> list[int]:
        message = request("tools/call", name="wait", arguments={"episode_id": episode_id})
        with requests.Session() as client:
            answers = [client.post(server.url, json=message, headers=HEADERS, timeout=60).json() for _ in range(3)]
        return [answer["result"]["structuredContent"]["step"] for answer in answers]

    with ThreadPoolExecutor(max_workers=CLIENTS) as executor:
        assert list(executor.map(visit, ids)) == [[1, 2, 3]] * CLIENTS


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no JSON",
        b"{",
        b"[]",
        b"[1, 2]",
        b"null",
        b"{}",
        b"\xff\xfe\x00",
        b"[" * 5000,
        b'{"jsonrpc": "1.0", "id": 1, "method": "ping"}',
        b'{"jsonrpc": "2.0", "id": 1}',
    ],
)
def test_a_malformed_request_is_refused(server: Served, body: bytes) -> None:
    answer = requests.post(server.url, data=body, headers=HEADERS, timeout=20)
    assert answer.status_code == 400
    assert "error" in answer.json()
    assert post(server, request("ping")).json()["result"] == {}


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("nothing/at_all", {}),
        ("tools/call", {}),
        ("tools/call", {"name": 5}),
        ("tools/call", {"name": "wait", "arguments": [1]}),
        ("resources/read", {"uri": "file:///etc/passwd"}),
        ("prompts/get", {"name": "truth"}),
    ],
)
def test_a_bad_request_gets_an_error(server: Served, method: str, params: dict[str, Any]) -> None:
    answer = post(server, request(method, **params)).json()
    assert "error" in answer
    assert "Traceback" not in json.dumps(answer)


@pytest.mark.parametrize("method", ["PUT", "PATCH", "OPTIONS", "TRACE"])
def test_other_http_methods_are_refused(server: Served, method: str) -> None:
    assert requests.request(method, server.url, headers=HEADERS, timeout=20).status_code == 405


def test_a_body_that_is_too_large_is_refused_before_it_is_read(server: Served) -> None:
    answer = requests.post(server.url, data=b"x" * (2 << 20), headers=HEADERS, timeout=20)
    assert answer.status_code == 413
    assert answer.json()["error"]["message"] == "a request has at most 1048576 bytes"


def test_a_client_that_disconnects_during_a_request_does_not_disturb_others(server: Served) -> None:
    port = int(server.url.split(":")[2].split("/")[0])
    for sent in (b"POST /mcp HTTP/1.1\r\n", b"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 50\r\n\r\n{"):
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(sent)
    assert post(server, request("ping")).json()["result"] == {}


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example"])
def test_a_foreign_host_name_is_refused(server: Served, host: str) -> None:
    assert post(server, request("ping"), host=host).status_code == 421


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://127.0.0.1.evil.example"])
def test_a_web_page_from_another_origin_is_refused(server: Served, origin: str) -> None:
    assert post(server, request("ping"), origin=origin).status_code == 403


def test_the_server_listens_only_on_the_local_machine(server: Served) -> None:
    assert server.url.startswith("http://127.0.0.1:")

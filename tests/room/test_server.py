"""The server over HTTP and its connection: permissions, other sites, wrong codes, and what is sent when."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from starlette.testclient import TestClient, WebSocketTestSession
from starlette.types import Message
from starlette.websockets import WebSocket, WebSocketDisconnect

from mirr.agents.llm.settings import BadSettings, Variable
from mirr.agents.registry import PolicyName, refuse_unready
from mirr.cli.postmortem_command import explain
from mirr.room.alerts import Alert
from mirr.room.guard import MAX_BODY_BYTES
from mirr.room.hall import Hall
from mirr.room.keys import LETTERS
from mirr.room.limits import Limiter
from mirr.room.live import Live
from mirr.room.server import FAILURES_A_MINUTE, ServerConfig, address_of, build_app
from mirr.room.store import Store
from mirr.room.worlds import SIMULATED
from tests.room.test_rooms import Turns

EASY = {"tier": "easy", "seed": 16}  # bad_deploy on payments
HERE = "http://127.0.0.1:8090"
SOCKET = "ws://127.0.0.1:8090/ws"  # the test client has a host of its own for a path

Json = dict[str, Any]


def client_of(config: ServerConfig) -> TestClient:
    return TestClient(build_app(Hall(Store(None), explain=explain), config), base_url=HERE, client=("127.0.0.1", 50000))


@pytest.fixture
def server() -> Iterator[TestClient]:
    with client_of(ServerConfig()) as client:
        yield client


def opened(server: TestClient) -> Json:
    answer = server.post("/api/rooms", json={})
    assert answer.status_code == 201
    content: Json = answer.json()
    return content


def joined(server: TestClient, room: Json, name: str) -> Json:
    answer = server.post(f"/api/rooms/{room['code']}/teams", json={"name": name})
    assert answer.status_code == 201
    content: Json = answer.json()
    return content


class Visit:
    """A visitor on a connection. Views that come between are kept."""

    def __init__(self, socket: WebSocketTestSession, seat: Json) -> None:
        self.socket = socket
        self.views: list[Json] = []
        self.number = 0
        socket.send_json({"code": seat["code"], "token": seat.get("token")})
        self.welcome: Json = socket.receive_json()

    def ask(self, what: str, **fields: object) -> Json:
        self.number += 1
        request = str(fields.pop("id", f"r{self.number}"))
        self.socket.send_json({"do": what, "id": request} | fields)
        while True:
            message: Json = self.socket.receive_json()
            if message["type"] == "view":
                self.views.append(message)
            else:
                assert message["id"] == request
                return message

    def closed(self) -> int:
        """Why the server ends the connection. It waits until it does."""
        try:
            while True:
                self.socket.receive_json()
        except WebSocketDisconnect as end:
            return end.code

    def view(self, **wanted: object) -> Json:
        """The next view whose room has these values."""
        while True:
            message: Json = self.views.pop(0) if self.views else self.socket.receive_json()
            assert message["type"] == "view"
            if all(message["room"][name] == value for name, value in wanted.items()):
                return message


def test_a_round_from_the_opening_to_the_answer(server: TestClient) -> None:
    room = opened(server)
    seat = joined(server, room, "Owls")
    with server.websocket_connect(SOCKET) as first, server.websocket_connect(SOCKET) as second:
        trainer, owls = Visit(first, room), Visit(second, seat)
        assert (trainer.welcome["role"], owls.welcome["role"]) == ("trainer", "player")
        assert trainer.ask("choose", incident=EASY)["type"] == "done"
        assert trainer.ask("start")["type"] == "done"
        begun = owls.view(phase="running")
        assert [frame["step"] for frame in begun["team"]["frames"]] == [0]
        for step, action in enumerate(["diagnose(payments, bad_deploy)", "rollback(payments)"]):
            assert owls.ask("act", action=action, step=step)["type"] == "done"
        score = 0.0
        while score != 18.0:
            score = owls.view()["team"]["score"]
        assert owls.ask("act", action="wait", step=0) == {
            "type": "refused",
            "id": "r3",
            "why": "somebody of your team acted first, and it is step 2 now; look again",
        }


def test_only_new_steps_are_sent_and_all_of_them_after_a_new_connection(server: TestClient) -> None:
    room = opened(server)
    seat = joined(server, room, "Owls")
    with server.websocket_connect(SOCKET) as first:
        trainer = Visit(first, room)
        trainer.ask("choose", incident=EASY)
        trainer.ask("start")
    with server.websocket_connect(SOCKET) as second:
        owls = Visit(second, seat)
        frames: list[Json] = []
        for step in range(3):
            owls.ask("act", action="wait", step=step)
        while len(frames) < 4:
            team = owls.view()["team"]
            assert team["since"] <= len(frames)
            frames = [*frames[: team["since"]], *team["frames"]]
        assert [frame["step"] for frame in frames] == [0, 1, 2, 3]
    with server.websocket_connect(SOCKET) as third:
        again = Visit(third, seat).view()["team"]
        assert (again["since"], [frame["step"] for frame in again["frames"]]) == (0, [0, 1, 2, 3])


def test_only_the_trainer_sees_what_the_labs_prometheus_fires() -> None:
    fired = Alert(name="ServiceDown", service="orders", severity="critical", state="firing")
    source = replace(SIMULATED, alerts=lambda: (fired,))
    hall = Hall(Store(None), explain=explain, source=source)
    with TestClient(build_app(hall, ServerConfig()), base_url=HERE, client=("127.0.0.1", 50000)) as server:
        room = opened(server)
        seat = joined(server, room, "Owls")
        with server.websocket_connect(SOCKET) as first, server.websocket_connect(SOCKET) as second:
            trainer, owls = Visit(first, room), Visit(second, seat)
            view = trainer.view()
            while "fired" not in view:
                view = trainer.view()
            assert view["fired"] == [fired.to_json()]
            trainer.ask("reveal")
            for _ in range(2):
                assert "fired" not in owls.view()


def test_where_teams_vote_the_step_comes_to_all_by_itself() -> None:
    hall = Hall(Store(None), explain=explain, source=Turns().source)
    with TestClient(build_app(hall, ServerConfig()), base_url=HERE, client=("127.0.0.1", 50000)) as server:
        room = opened(server)
        seats = [joined(server, room, name) for name in ("Owls", "Cats", "Nobody is here")]
        with (
            server.websocket_connect(SOCKET) as first,
            server.websocket_connect(SOCKET) as second,
            server.websocket_connect(SOCKET) as third,
        ):
            trainer, owls, cats = Visit(first, room), Visit(second, seats[0]), Visit(third, seats[1])
            trainer.ask("choose", incident=EASY, way="vote")
            trainer.ask("start")
            for team in (owls, cats):
                while not (team.view()["room"]["vote"] or {}).get("open"):
                    pass
                assert team.ask("vote", action="check_logs(payments)", step=0)["type"] == "done"
            for team in (owls, cats):
                view = team.view()
                while view["team"]["step"] < 1:
                    view = team.view()
                sides = [{"action": "check_logs(payments)", "teams": ["Owls", "Cats"]}]
                assert [frame["votes"] for frame in view["team"]["frames"] if frame["step"] == 1] == [sides]


def test_a_name_with_script_in_it_stays_a_text(server: TestClient) -> None:
    room = opened(server)
    name = "<script>alert(1)</script>"
    assert joined(server, room, name)["name"] == name
    with server.websocket_connect(SOCKET) as socket:
        assert Visit(socket, {"code": room["code"]}).view()["board"][0]["name"] == name


def test_a_player_who_asks_what_only_the_trainer_may_is_refused(server: TestClient) -> None:
    room = opened(server)
    seat = joined(server, room, "Owls")
    with server.websocket_connect(SOCKET) as socket:
        owls = Visit(socket, seat)
        for what in ("start", "watch", "choose", "reveal"):
            answer = owls.ask(what, team="Owls", incident=EASY)
            assert answer["why"] == f"{what} is only for the trainer; you are in a team"


def test_a_removed_team_is_shown_out(server: TestClient) -> None:
    room = opened(server)
    seat = joined(server, room, "Owls")
    with server.websocket_connect(SOCKET) as first, server.websocket_connect(SOCKET) as second:
        trainer, owls = Visit(first, room), Visit(second, seat)
        owls.view()
        trainer.ask("remove", team="Owls")
        assert owls.closed() == 4404


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"do": NaN}', "x" * (MAX_BODY_BYTES + 1), "[" * 4000, '{"a":1,"a":2}']
)
def test_a_message_that_is_none_is_refused_and_the_connection_stays(server: TestClient, text: str) -> None:
    room = opened(server)
    with server.websocket_connect(SOCKET) as socket:
        trainer = Visit(socket, room)
        socket.send_text(text)
        message = socket.receive_json()
        while message["type"] == "view":
            message = socket.receive_json()
        assert message["type"] == "refused"
        assert trainer.ask("choices")["type"] == "done"


REQUESTS = (
    "choices, choose, start, pause, end, close_vote, reveal, remove, team_tape, team_paper, team_record, "
    "any_agent_tape, play_agent, act, vote, take_turn, hint, own_tape, own_paper, own_record, agent_tape"
)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"do": ["act"]}, f"unknown request ['act']; one of: {REQUESTS}"),
        ({"do": {}}, f"unknown request {{}}; one of: {REQUESTS}"),
        ({"do": "choose", "incident": EASY, "limit_s": 10**3000}, "limit_s is too large"),
        (
            {"do": "choose", "incident": {"tier": ["easy"], "seed": 1}},
            "unknown tier ['easy']; one of: easy, medium, hard",
        ),
        ({"do": "choose", "incident": {"tier": "easy", "seed": [1]}}, "a seed is a whole number from 0 up; got [1]"),
        ({"do": "play_agent", "agent": ["oracle"], "incident": EASY}, "agent is a text of 1 to 64 characters"),
    ],
)
def test_a_request_with_values_that_make_no_sense_is_refused_and_the_connection_stays(
    server: TestClient, fields: Json, why: str
) -> None:
    room = opened(server)
    with server.websocket_connect(SOCKET) as socket:
        trainer = Visit(socket, room)
        socket.send_json(fields | {"id": "odd"})
        message = socket.receive_json()
        while message["type"] == "view":
            message = socket.receive_json()
        assert message == {"type": "refused", "id": "odd", "why": why}
        assert trainer.ask("choices")["type"] == "done"


def test_a_step_of_thousands_of_digits_is_refused_and_the_connection_stays(server: TestClient) -> None:
    room = opened(server)
    seat = joined(server, room, "Owls")
    with server.websocket_connect(SOCKET) as socket:
        owls = Visit(socket, seat)
        for what in ("act", "vote"):
            assert owls.ask(what, action="wait", step=10**3000)["why"] == "step is too large"


def test_an_agent_that_cannot_play_here_says_why(server: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Variable:
        monkeypatch.delenv(name, raising=False)
    room = opened(server)
    with server.websocket_connect(SOCKET) as socket:
        answer = Visit(socket, room).ask("play_agent", agent="llm", incident=EASY)
        with pytest.raises(BadSettings) as bad:
            refuse_unready(PolicyName.LLM)
        assert (answer["type"], answer["why"]) == ("refused", str(bad.value))


def test_who_leaves_before_the_first_message_leaves_no_error() -> None:
    messages: list[Message] = [{"type": "websocket.connect"}, {"type": "websocket.disconnect", "code": 1006}]

    async def receive() -> Message:
        return messages.pop(0)

    async def send(message: Message) -> None:
        if message["type"] == "websocket.close":
            raise OSError("the client has gone")

    socket = WebSocket({"type": "websocket", "client": ("127.0.0.1", 50001)}, receive, send)
    live = Live(Hall(Store(None), explain=explain), Limiter(1, 60.0))
    asyncio.run(live.serve(socket))
    assert live.count == 0


def test_a_message_of_bytes_ends_the_connection_in_words(server: TestClient) -> None:
    room = opened(server)
    with server.websocket_connect(SOCKET) as socket:
        visit = Visit(socket, room)
        socket.send_bytes(b"\x00")
        assert visit.closed() == 1008


def test_wrong_codes_are_counted_until_nobody_may_guess_any_more(server: TestClient) -> None:
    room = opened(server)
    assert {wrong_code(server, number) for number in range(FAILURES_A_MINUTE)} == {404}
    answer = server.post(f"/api/rooms/{room['code']}/teams", json={"name": "x"})
    assert (answer.status_code, answer.json()) == (429, {"why": "too many wrong codes; wait a minute"})
    with server.websocket_connect(SOCKET) as socket, pytest.raises(WebSocketDisconnect) as closed:
        Visit(socket, {"code": room["code"]})
    assert closed.value.code == 4429


def wrong_code(server: TestClient, number: int) -> int:
    return server.post(f"/api/rooms/AAAA-AAA{LETTERS[number]}/teams", json={"name": "x"}).status_code


def closed_at_once(server: TestClient, seat: Json) -> int:
    with server.websocket_connect(SOCKET) as socket, pytest.raises(WebSocketDisconnect) as closed:
        Visit(socket, seat)
    return closed.value.code


def test_a_class_behind_one_address_can_practise_alone(server: TestClient) -> None:
    for _ in range(60):
        room = opened(server)
    assert joined(server, room, "You")["name"] == "You"
    refused = server.post("/api/rooms", json={})
    assert (refused.status_code, refused.json()) == (429, {"why": "too many new rooms; wait a minute"})


def test_a_seat_is_let_in_however_many_wrong_codes_come_from_its_address(server: TestClient) -> None:
    room = opened(server)
    team = joined(server, room, "Owls")
    assert {wrong_code(server, number) for number in range(FAILURES_A_MINUTE)} == {404}
    for seat, role in ((room, "trainer"), (team, "player")):
        with server.websocket_connect(SOCKET) as socket:
            assert Visit(socket, seat).welcome["role"] == role
    opened(server)  # whoever may open a room still may


def test_while_there_are_too_many_wrong_codes_nobody_learns_which_codes_there_are(server: TestClient) -> None:
    room = opened(server)
    for number in range(FAILURES_A_MINUTE):
        wrong_code(server, number)
    for code in (room["code"], "AAAA-AAZZ"):
        assert closed_at_once(server, {"code": code}) == 4429
        assert closed_at_once(server, {"code": code, "token": "a guess"}) == 4429


def test_many_seats_of_a_room_that_is_gone_count_as_one_wrong_code(server: TestClient) -> None:
    room = opened(server)
    for number in range(3 * FAILURES_A_MINUTE):
        assert closed_at_once(server, {"code": "AAAA-AAAA", "token": f"of seat {number}"}) == 4404
    assert joined(server, room, "Owls")["name"] == "Owls"


def test_wrong_tokens_of_the_server_are_counted_until_the_right_one_is_refused_too() -> None:
    with client_of(ServerConfig(host="0.0.0.0", token="the trainer's secret")) as server:
        for _ in range(FAILURES_A_MINUTE):
            assert server.post("/api/rooms", json={}).status_code == 401
        answer = server.post("/api/rooms", json={}, headers={"authorization": "Bearer the trainer's secret"})
        assert (answer.status_code, answer.json()) == (429, {"why": "too many wrong tokens; wait a minute"})


@pytest.mark.parametrize("seat", [{"code": "AAAA-AAAA"}, {"code": "", "token": "x"}, {"code": 7}])
def test_a_connection_to_no_room_is_closed(server: TestClient, seat: Json) -> None:
    with server.websocket_connect(SOCKET) as socket, pytest.raises(WebSocketDisconnect) as closed:
        Visit(socket, seat)
    assert closed.value.code == 4404


def test_a_server_with_a_token_lets_only_trainers_open_rooms() -> None:
    with client_of(ServerConfig(host="0.0.0.0", token="the trainer's secret")) as server:
        assert server.get("/api/server").json() == {"world": "sim", "shared": False, "asks_for_token": True}
        refused = server.post("/api/rooms", json={})
        assert (refused.status_code, refused.json()) == (
            401,
            {"why": "this server asks for the trainer's token: mirr room printed it when it started"},
        )
        token = {"authorization": "Bearer the trainer's secret"}
        assert server.post("/api/rooms", json={}, headers=token).status_code == 201


@pytest.mark.parametrize("origin", ["http://evil.example", "http://127.0.0.1:9999", "null"])
def test_another_sites_page_cannot_act_for_a_visitor(server: TestClient, origin: str) -> None:
    answer = server.post("/api/rooms", json={}, headers={"origin": origin})
    assert (answer.status_code, answer.json()) == (403, {"why": "a web page of another site may not do this"})
    with (
        pytest.raises(WebSocketDisconnect) as closed,
        server.websocket_connect(SOCKET, headers={"origin": origin}) as socket,
    ):
        socket.receive_json()
    assert closed.value.code == 1008


def test_the_rooms_own_page_may_act(server: TestClient) -> None:
    assert server.post("/api/rooms", json={}, headers={"origin": HERE}).status_code == 201


def test_a_form_of_another_site_cannot_be_sent_here(server: TestClient) -> None:
    answer = server.post("/api/rooms", content="{}", headers={"content-type": "text/plain"})
    assert (answer.status_code, answer.json()) == (415, {"why": "send JSON, with content-type: application/json"})


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8090", "127.0.0.1.evil.example", "a@127.0.0.1", "", "["]
)
def test_a_name_that_was_rebound_to_this_machine_is_refused(server: TestClient, host: str) -> None:
    for path in ("/", "/api/server"):
        answer = server.get(path, headers={"host": host})
        assert (answer.status_code, answer.json()) == (
            421,
            {"why": "this server does not have that name; next: mirr room --allow-host NAME"},
        )


def test_a_server_that_others_reach_answers_to_its_addresses_and_to_the_names_it_was_given() -> None:
    with client_of(ServerConfig(host="0.0.0.0", token="x" * 20, allow_hosts=("room.example",))) as server:
        found = [
            server.get("/api/server", headers={"host": host}).status_code
            for host in ("192.168.1.7:8090", "[fe80::1]", "ROOM.example", "evil.example")
        ]
    assert found == [200, 200, 200, 421]


def test_a_request_that_is_too_large_is_refused(server: TestClient) -> None:
    answer = server.post("/api/rooms", json={"x": "y" * MAX_BODY_BYTES})
    assert answer.status_code == 413


@pytest.mark.parametrize(
    "path",
    ["/", "/room.js", "/incident.js", "/paper.js", "/room.css", "/icon.svg", "/vendor/uPlot.js", "/vendor/uPlot.css"],
)
def test_every_file_has_the_headers_that_keep_others_out_and_is_not_sent_twice(server: TestClient, path: str) -> None:
    answer = server.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-security-policy"].startswith("default-src 'self';")
    assert answer.headers["x-content-type-options"] == "nosniff"
    again = server.get(path, headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_there_is_no_page_that_loads_from_elsewhere(server: TestClient) -> None:
    assert [server.get(path).status_code for path in ("/docs", "/redoc", "/openapi.json")] == [404, 404, 404]


@pytest.mark.parametrize(
    ("host", "address"),
    [("127.0.0.1", "http://127.0.0.1:1"), ("::1", "http://[::1]:1"), ("room.example", "http://room.example:1")],
)
def test_the_address_can_be_opened(host: str, address: str) -> None:
    assert address_of(host, 1) == address

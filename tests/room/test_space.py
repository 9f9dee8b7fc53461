"""The image for a Hugging Face Space, by its files (no registry is asked to build it), and who may frame the page."""

from __future__ import annotations

import os
import re
import shlex
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from ruamel.yaml import YAML

from mirr.room.guard import checked_site
from mirr.room.server import ServerConfig
from tests.room.test_server import client_of

SPACE = Path(__file__).parents[2] / "room" / "space"


def settings() -> dict[str, str]:
    """What the image sets in the environment."""
    (line,) = re.findall(r"^ENV (.+)$", (SPACE / "Dockerfile").read_text(), re.MULTILINE)
    return dict(part.split("=", 1) for part in shlex.split(line))


def front_matter() -> dict[str, object]:
    _, content, _ = (SPACE / "README.md").read_text().split("---\n", 2)
    found: dict[str, object] = YAML(typ="safe").load(content)
    return found


def test_the_space_is_of_kind_docker_and_its_port_is_that_of_the_image() -> None:
    image, matter = (SPACE / "Dockerfile").read_text(), front_matter()
    assert matter["sdk"] == "docker"
    assert settings()["PORT"] == str(matter["app_port"]) == "7860"
    assert "EXPOSE 7860" in image.splitlines()
    assert len(str(matter["short_description"])) <= 60


def test_the_image_runs_as_a_user_without_rights_and_knows_no_engine() -> None:
    image = (SPACE / "Dockerfile").read_text()
    assert "USER 1000" in image.splitlines()
    assert "docker.sock" not in image
    assert "--world" not in image  # the default is the simulator


@pytest.mark.thorough
def test_a_server_as_in_the_image_writes_to_its_data_folder_alone(tmp_path: Path) -> None:
    data, elsewhere = tmp_path / "data", tmp_path / "elsewhere"
    elsewhere.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    places = {name: str(elsewhere) for name in ("HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME")}
    root = Path(__file__).parents[2]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(root), "MIRR_COMPILED": "0"} | places | settings()
    environment["PORT"] = str(port)
    command = [sys.executable, "-m", "mirr", "room", "--data", str(data), "--allow-host", "x.hf.space"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd=tmp_path) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().startswith("incident room on ")
            token = process.stdout.readline().split()[-1]
            headers = {"host": "x.hf.space", "authorization": f"Bearer {token}", "origin": "https://x.hf.space"}
            answer = httpx.post(f"http://127.0.0.1:{port}/api/rooms", json={}, headers=headers)
            assert answer.status_code == 201
            assert answer.headers["content-security-policy"].endswith("; frame-ancestors https://huggingface.co")
            assert "x-frame-options" not in answer.headers
        finally:
            process.terminate()
            process.wait(timeout=30)
    assert list(elsewhere.iterdir()) == []
    assert [path.name for path in tmp_path.iterdir() if path not in (data, elsewhere)] == []
    assert "rooms.sqlite" in {path.name for path in data.iterdir()}


def test_nobody_may_frame_the_page_unless_the_server_was_told() -> None:
    with client_of(ServerConfig()) as server:
        headers = server.get("/").headers
    assert headers["content-security-policy"].endswith("; frame-ancestors 'none'")
    assert headers["x-frame-options"] == "DENY"


@pytest.mark.parametrize("site", ["https://huggingface.co", "http://localhost:8000"])
def test_a_site_is_named_as_browsers_name_it(site: str) -> None:
    assert checked_site(site) == site


@pytest.mark.parametrize(
    "site", ["*", "huggingface.co", "https://a.example/path", "https://a; script-src *", "https://*"]
)
def test_what_is_no_site_may_not_frame_the_page(site: str) -> None:
    with pytest.raises(ValueError, match=r"^a site is https:// and a name, without a path; got "):
        checked_site(site)

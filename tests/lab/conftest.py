"""The Docker settings of a made-up user, for the tests of the lab."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest


@pytest.fixture
def contexts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two Docker contexts, of which `rootless` is the current one."""
    for name, host in (("rootless", "unix:///run/user/1000/docker.sock"), ("far", "tcp://example:2375")):
        meta = tmp_path / "contexts" / "meta" / hashlib.sha256(name.encode()).hexdigest()
        meta.mkdir(parents=True)
        docker = {"Host": host, "SkipTLSVerify": False}
        (meta / "meta.json").write_text(json.dumps({"Name": name, "Metadata": {}, "Endpoints": {"docker": docker}}))
    (tmp_path / "config.json").write_text(json.dumps({"currentContext": "rootless"}))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT"):
        monkeypatch.delenv(name, raising=False)

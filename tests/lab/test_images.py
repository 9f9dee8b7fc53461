"""An image that cannot be built: the error says why, and what to do."""

from __future__ import annotations

from typing import Any, cast

import pytest
from docker import DockerClient
from docker.credentials.errors import StoreError

from mirr.lab.errors import ImageError
from mirr.lab.images import _build
from mirr.lab.sources import Build


class EngineOfAUserWithoutHelper:
    """An engine's client. Docker's config.json names a credential helper that is not installed."""

    def __init__(self) -> None:
        self.api = NoImages()
        self.images = NoHelper()


class NoImages:
    """The engine's own API."""

    def images(self, *, name: str) -> list[Any]:
        return []


class NoHelper:
    """What builds images. It reads the credentials first."""

    def build(self, **_: Any) -> Any:
        raise StoreError("docker-credential-desktop not installed or not available in PATH")


def test_a_missing_credential_helper_is_named_with_its_remedy() -> None:
    client = cast("DockerClient", EngineOfAUserWithoutHelper())
    with pytest.raises(ImageError) as raised:
        _build(client, Build(tag="mirr/auth:1.4.0", dockerfile="FROM scratch"))
    assert str(raised.value) == (
        "mirr/auth:1.4.0 could not be built: the credential helper of Docker's config.json does not work "
        "(docker-credential-desktop not installed or not available in PATH); "
        "next: install it, or remove credsStore and credHelpers from that file"
    )

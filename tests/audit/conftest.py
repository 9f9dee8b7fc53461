"""The fixtures that run services in this process. They come from the tests of the services."""

from __future__ import annotations

from tests.services.conftest import app_of, data, seeded, upstreams

__all__ = ["app_of", "data", "seeded", "upstreams"]

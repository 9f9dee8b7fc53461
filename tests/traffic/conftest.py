"""The services in-process, to check that they take what the load generator sends."""

from __future__ import annotations

from tests.services.conftest import app_of, client_of, data, seeded, upstreams

__all__ = ["app_of", "client_of", "data", "seeded", "upstreams"]

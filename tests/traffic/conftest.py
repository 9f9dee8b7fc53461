"""The services in the test's own process, to check that they accept what the load generator sends."""

from __future__ import annotations

from tests.services.conftest import app_of, client_of, data, seeded, upstreams

__all__ = ["app_of", "client_of", "data", "seeded", "upstreams"]

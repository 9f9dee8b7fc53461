"""Fixtures that run the services in the test's own process. The tests send them the load generator's requests."""

from __future__ import annotations

from tests.services.conftest import app_of, client_of, data, seeded, upstreams

__all__ = ["app_of", "client_of", "data", "seeded", "upstreams"]

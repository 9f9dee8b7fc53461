"""Services in-process, as their own tests have them."""

from __future__ import annotations

from tests.services.conftest import app_of, data, seeded, upstreams

__all__ = ["app_of", "data", "seeded", "upstreams"]

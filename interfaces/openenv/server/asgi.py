"""The simulator's server as an application for any ASGI server: `uvicorn MODULE:app`."""

from __future__ import annotations

from mirr.interfaces.openenv.server.app import ServerConfig, build_app, simulated

app = build_app(simulated, ServerConfig())

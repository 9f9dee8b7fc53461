"""`python3 -m services NAME`: run one service on port 8000."""

from __future__ import annotations

import importlib
import os
import sys

from services.kit import logs
from services.kit.settings import Settings

NAMES = ("gateway", "auth", "inventory", "orders", "payments")


def main(arguments: list[str]) -> int:
    """Serve until the process is told to end. Returns 2 for an unknown name, 3 if the server could not start."""
    name = arguments[0] if len(arguments) == 1 else os.environ.get("SERVICE", "")
    if name not in NAMES:
        print(f"usage: python3 -m services NAME, where NAME is one of: {', '.join(NAMES)}", file=sys.stderr)
        return 2
    logs.set_up(name)
    # Imported late: a wrong name fails before anything is loaded.
    import uvicorn

    from services.kit.connections import Connection

    app = importlib.import_module(f"services.{name}").create(Settings.from_environment(name))
    config = uvicorn.Config(
        app,
        host=os.environ.get("HOST", "0.0.0.0"),
        port=int(os.environ.get("PORT", "8000")),
        http=Connection,
        loop="asyncio",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,  # the edge writes its own line for each request
        server_header=False,
        # Longer than any client keeps an idle connection, so no connection closes while a request arrives on it.
        timeout_keep_alive=75,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    server.run()
    return 0 if server.started else 3


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

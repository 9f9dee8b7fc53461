"""The same agent in a process of its own: `python docs/examples/http_agent.py 8500`, then
`mirr evaluate --policy http://127.0.0.1:8500/act`. It needs nothing but Python."""

import json
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

SERVICES = ("gateway", "auth", "inventory", "orders", "payments")  # the rows of `features`
said: set[tuple[str, str]] = set()  # which services were diagnosed in which episode


def act(question: dict[str, Any]) -> str:
    """Restarts whatever is down, and says so first."""
    for service, (up, *_) in zip(SERVICES, question["features"], strict=True):
        if up == 0.0:
            if (question["episode"], service) in said:
                return f"restart({service})"
            said.add((question["episode"], service))
            return f"diagnose({service}, crashed)"
    return "wait"


class Handler(BaseHTTPRequestHandler):
    """Answers each observation with an action."""

    def do_POST(self) -> None:
        question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        answer = json.dumps({"action": act(question)}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing: a line for each step would be too many."""


def main() -> None:
    """Serve until Ctrl-C. Port 0 means any free one."""
    server = HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
    print(f"http://127.0.0.1:{server.server_port}/act", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()

"""HTTP to the lab's own ports. They are at the loopback of this machine."""

from __future__ import annotations

import requests


def direct_session() -> requests.Session:
    """A session that goes straight to its address.

    HTTP_PROXY is for the world outside. A proxy has a loopback of its own, and the lab is not there."""
    session = requests.Session()
    session.trust_env = False
    return session

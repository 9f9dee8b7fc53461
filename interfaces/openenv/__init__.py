"""MIRR Lab for OpenEnv: its actions and observations, a client, and a server of episodes (`mirr openenv`).

It needs the extra `openenv`. Importing this imports openenv, which takes about three seconds, so nothing
outside this folder imports it before it is needed.
"""

from mirr.interfaces.openenv.client import MirrEnv
from mirr.interfaces.openenv.models import MirrAction, MirrObservation, MirrState

__all__ = ["MirrAction", "MirrEnv", "MirrObservation", "MirrState"]

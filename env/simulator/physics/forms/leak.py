"""`memory_leak/leak`: a client leaves memory behind with each request."""

from __future__ import annotations

from mirr.env.simulator.physics.forms.form import Form
from mirr.env.vocabulary import FaultMode

FORM = Form(mode=FaultMode.MEMORY_LEAK, place=0)

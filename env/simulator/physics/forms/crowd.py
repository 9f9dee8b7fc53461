"""`overloaded/crowd`: a flash crowd offers more work than the quota can do."""

from __future__ import annotations

from mirr.env.simulator.physics.forms.form import Form
from mirr.env.vocabulary import FaultMode

FORM = Form(mode=FaultMode.OVERLOADED, place=0)

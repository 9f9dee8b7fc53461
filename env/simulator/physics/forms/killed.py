"""`crashed/killed`: the process is ended and stays down."""

from __future__ import annotations

from mirr.env.simulator.physics.forms.form import Form
from mirr.env.vocabulary import FaultMode

FORM = Form(mode=FaultMode.CRASHED, place=0)

"""`bad_deploy/errors`: a faulty release fails on the rows that its migration spoiled."""

from __future__ import annotations

from mirr.env.simulator.physics.forms.form import Form
from mirr.env.vocabulary import FaultMode

FORM = Form(mode=FaultMode.BAD_DEPLOY, place=0)

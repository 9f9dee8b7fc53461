"""The forms of the faults as physics: one module a form, each with its `FORM`.

Nothing lists the modules. `mirr.env.forms` finds them by looking into this folder.
"""

"""Tests of the OpenEnv server, its client and the messages between them.

OpenEnv imports gradio, the library of its web page, even if nobody asks for the page. This takes longer than all other
imports together, and every process of a test run would do it. OpenEnv can do without gradio, so it is hidden here. The
test of the page imports it, and the servers in their own processes do so too.
"""

import sys

if "gradio" not in sys.modules:
    sys.modules["gradio"] = None  # type: ignore[assignment]  # Python's own way to say that a module is not there
    try:
        import openenv.core  # type: ignore[import-untyped]  # noqa: F401
    finally:
        del sys.modules["gradio"]

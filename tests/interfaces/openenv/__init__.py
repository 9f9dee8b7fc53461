"""Tests of the OpenEnv server, its client and the messages between them.

Every process of a test run imports these files, so OpenEnv is imported as `mirr openenv` does it: without gradio, which
would take seconds. The test of the page imports it.
"""

from mirr.cli.openenv_command import import_openenv

import_openenv()

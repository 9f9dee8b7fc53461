"""Random calls of the tools. Only a process that runs these tests imports Hypothesis, which takes seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.interfaces.mcp.player import call, structured, text_of
from tests.interfaces.mcp.test_server import visit
from tests.trials import trials

if TYPE_CHECKING:
    from fastmcp import Client

pytestmark = pytest.mark.thorough

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
TOOL_NAMES = ("read_metrics", "status", "wait", "check_logs", "diagnose", "restart", "rollback", "scale_up", "reset")
CALLS = st.lists(
    st.tuples(
        st.sampled_from(TOOL_NAMES) | st.text(max_size=12),
        st.fixed_dictionaries(
            {},
            optional={
                "episode_id": st.sampled_from(["0", "1", ""]) | ANYTHING,
                "service": st.sampled_from(["auth", "orders"]) | ANYTHING,
                "mode": st.sampled_from(["crashed", "overloaded"]) | ANYTHING,
                "seed": ANYTHING,
            },
        ),
    ),
    min_size=1,
    max_size=25,
)


@settings(max_examples=trials(10), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(calls=CALLS)
def test_every_call_gets_a_result_or_a_one_line_error(
    calls: list[tuple[str, dict[str, Any]]],
) -> None:
    async def body(client: Client[Any]) -> None:
        for name, arguments in calls:
            result = await client.call_tool(name, arguments, raise_on_error=False)
            if result.is_error:
                text = text_of(result)
                assert "Traceback" not in text
                assert "\n" not in text.strip()
                assert not text.startswith("Error calling tool")
            else:
                assert structured(result)["episode_id"] == "0"
        assert (await call(client, "status", {"episode_id": "0"}))["episode_id"] == "0"

    visit(body)

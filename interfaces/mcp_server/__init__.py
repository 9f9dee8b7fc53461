"""The lab's tools for any MCP client. The name is not `mcp`, because a library has that name."""

"""The lab's tools for any MCP client. Its name is not `mcp`, which is the library's."""

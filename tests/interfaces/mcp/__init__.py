"""Tests of the MCP server with real clients."""

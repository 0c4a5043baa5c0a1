"""Handles every tool call. Independent of MCP."""

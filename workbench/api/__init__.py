"""The faces over one catalogue: REST, Python, MCP. Each is a loop; none knows a room."""

"""The faces over one catalogue: REST, Python, MCP, TypeScript. Each is a loop; none knows a room."""

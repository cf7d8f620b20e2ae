"""MCP: every action but streams is a tool, its docstring the description."""

from typing import Any

from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp_types import (
    CallToolRequestParams,
    CallToolResult,
    ListToolsResult,
    PaginatedRequestParams,
    TextContent,
    Tool,
    ToolAnnotations,
)

import workbench
from workbench.core import Action, NotFound, WorkbenchError, catalogue

from .client import Workbench

KEY_META = "workbench/idempotency-key"
"""Where a client puts its idempotency key in a call's `_meta`."""


def tools() -> list[Tool]:
    """A tool per action, in alphabetical order."""
    return [_tool(act) for _, act in sorted(catalogue.items()) if act.effect != "stream"]


def _tool(act: Action) -> Tool:
    return Tool(
        name=act.tool,
        title=act.summary,
        description=act.doc,
        input_schema=act.takes.model_json_schema(),
        annotations=ToolAnnotations(
            read_only_hint=act.effect == "read",
            destructive_hint=act.undo == "irreversible",
            open_world_hint=False,
        ),
    )


def server(wb: Workbench) -> "Server[Any]":
    """An MCP server over a client of the Studio; it can do what that client can."""
    by_tool = {act.tool: act for act in catalogue.values() if act.effect != "stream"}

    async def list_tools(_: Any, __: PaginatedRequestParams | None) -> ListToolsResult:
        return ListToolsResult(tools=tools())

    async def call_tool(_: Any, params: CallToolRequestParams) -> CallToolResult:
        import anyio.to_thread

        try:
            act = by_tool.get(params.name)
            if act is None:
                raise NotFound(f"There is no tool {params.name!r}.", hint="List the tools.")
            key = str(dict(params.meta or {}).get(KEY_META, ""))
            answer = await anyio.to_thread.run_sync(
                lambda: wb.call(act.name, dict(params.arguments or {}), key=key)
            )
        except WorkbenchError as error:
            problem = error.as_problem()
            text = f"{problem['detail']} {problem['hint']}".strip()
            return CallToolResult(
                content=[TextContent(type="text", text=text)],
                structured_content=problem,
                is_error=True,
            )
        body = answer.model_dump(mode="json")
        return CallToolResult(
            content=[TextContent(type="text", text=answer.model_dump_json())],
            structured_content=body,
        )

    return Server(
        "nexusai-studio",
        version=workbench.__version__,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


async def serve_stdio(wb: Workbench) -> None:
    """Serve one client over standard input and output."""
    running = server(wb)
    async with stdio_server() as (read, write):
        await running.run(read, write, running.create_initialization_options())

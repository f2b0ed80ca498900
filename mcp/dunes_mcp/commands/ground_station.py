"""The command table of `mcp ground-station`."""

from dunes.console import Entry, lazy_app

ABOUT = "Run a ground station: receive, verify and keep the readings of enrolled gateways."

COMMANDS: dict[str, Entry] = {
    "serve": Entry(
        "dunes_mcp.commands.ground_serve:serve",
        "Receive readings over HTTPS until SIGTERM or Ctrl-C.",
    ),
    "enroll": Entry(
        "dunes_mcp.commands.ground_gateways:enroll_one",
        "Let a gateway write to this ground station.",
    ),
    "revoke": Entry(
        "dunes_mcp.commands.ground_gateways:revoke_one",
        "Let a gateway write no more; what it wrote stays.",
    ),
    "list": Entry(
        "dunes_mcp.commands.ground_gateways:list_all",
        "List the gateways that may write, and those that may no more.",
    ),
    "status": Entry(
        "dunes_mcp.commands.ground_status:status",
        "Say what this ground station holds, by gateway, table and lane.",
    ),
    "query": Entry(
        "dunes_mcp.commands.ground_query:query",
        "Read received readings back, by gateway, device, kind, time and priority.",
    ),
    "verify": Entry(
        "dunes_mcp.commands.ground_query:verify",
        "Verify every received frame of a table: chain, gaps, signatures.",
    ),
}

app = lazy_app("ground-station", ABOUT, COMMANDS, top=False)

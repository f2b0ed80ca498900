"""The command table of `dunes`: names, their help, and where each lives. No logic."""

from dunes.console import Entry, lazy_app, run

ABOUT = "Keep a field gateway talking when its satellite link does not."

COMMANDS: dict[str, Entry] = {
    "init-starlink": Entry(
        "dunes.commands.init_starlink:init_starlink",
        "Find the Starlink dish and router, and write them into the profile.",
    ),
    "starlink-status": Entry(
        "dunes.commands.starlink_status:starlink_status",
        "Say whether the Starlink link is up, and why not.",
    ),
    "ingest": Entry(
        "dunes.commands.ingest:ingest",
        "Take readings into the buffer: JSON, JSON Lines or CSV, from a file or pipe.",
    ),
    "query": Entry(
        "dunes.commands.query:query",
        "Read readings back, by device, kind, time and priority; the oldest first.",
    ),
    "check-buffer": Entry(
        "dunes.commands.check_buffer:check_buffer",
        "Verify every frame of a buffer table: chain, gaps, tail, signatures.",
    ),
    "mesh-init": Entry(
        "dunes.commands.mesh_init:mesh_init",
        "Find, provision and configure the nodes of a Bluetooth mesh; go on where it was left.",
    ),
    "mesh-status": Entry(
        "dunes.commands.mesh_status:mesh_status",
        "Show the nodes of a mesh, how far each is set up, and when it was heard.",
    ),
    "mesh-listen": Entry(
        "dunes.commands.mesh_listen:mesh_listen",
        "Show what the nodes of a mesh measure, and keep it in the buffer; until Ctrl-C.",
    ),
    "mesh-send": Entry(
        "dunes.commands.mesh_send:mesh_send",
        "Command an actuator of a mesh node, wait until it obeys, and read its state back.",
    ),
    "mesh-config": Entry(
        "dunes.commands.mesh_config:mesh_config",
        "Show how a mesh node is set, change it, or give the whole network new keys.",
    ),
    "mesh-remove": Entry(
        "dunes.commands.mesh_remove:mesh_remove",
        "Take a node out of a mesh: reset it, or lock it out with new keys for all others.",
    ),
    "mesh-link": Entry(
        "dunes.commands.mesh_link:mesh_link",
        "Tell a mesh the readings of a device that is no node: a satellite, a buoy.",
    ),
    "mesh-export": Entry(
        "dunes.commands.mesh_export:mesh_export",
        "Write a mesh into a file: a Configuration Database, or its whole state with SEQ and IV.",
    ),
    "mesh-import": Entry(
        "dunes.commands.mesh_import:mesh_import",
        "Take a mesh in from a file: a Configuration Database of any app, or a whole state.",
    ),
    "mcp": Entry(
        "dunes_mcp.cli:app",
        "Connect a gateway to its ground station, and bring its readings there once each.",
    ),
    "torgo": Entry(
        "torgo.cli:app", "Design Bluetooth meshes that survive losses, prove it, and draw them."
    ),
    "sakina": Entry(
        "sakina.cli:app", "Say who may do what: OAuth 2.0 logins, identities of devices, trust."
    ),
    "status": Entry(
        "dunes.commands.status:status",
        "Say how things stand: link, mesh, what is queued, what was delivered.",
    ),
    "doctor": Entry(
        "dunes.commands.doctor:doctor",
        "Examine this gateway: scripts, clock, disk, database, keys, radio, router.",
    ),
    "simulate-disconnect": Entry(
        "dunes.commands.simulate_disconnect:simulate_disconnect",
        "Rehearse a link outage, and judge by the ground station what it did.",
    ),
    "sim": Entry(
        "dunes.commands.sim:app",
        "Run a simulated site: Starlink, sensors and a ground station on this machine.",
    ),
    "demo": Entry(
        "dunes.commands.demo:demo",
        "Show the guide's story on the simulated site, and measure what it promises.",
    ),
    "keygen": Entry(
        "dunes.commands.keygen:keygen",
        "Make a post-quantum key: a document to keep and one to give to others.",
    ),
    "keys": Entry(
        "dunes.commands.keys:app",
        "Keep this place's keys, and say which keys of others are believed.",
    ),
    "seal": Entry(
        "dunes.commands.seal:seal",
        "Encrypt a file of any size for those who are named, and sign it.",
    ),
    "open": Entry(
        "dunes.commands.open:open_",
        "Verify a sealed file and decrypt it; nothing appears unless all of it is good.",
    ),
    "sign": Entry(
        "dunes.commands.sign:sign",
        "Sign a file of any size; the signature goes beside it.",
    ),
    "verify": Entry(
        "dunes.commands.verify:verify",
        "Check who signed or sealed a file, with public keys alone.",
    ),
    "maml": Entry(
        "dunes.commands.maml:app",
        "Read, check and write MAML documents; nothing in them is run.",
    ),
    "apply-config": Entry(
        "dunes.commands.apply_config:apply_config",
        "Put the values of a config.maml into this gateway's settings.",
    ),
    "markup-generate": Entry(
        "dunes.commands.markup_generate:markup_generate",
        "Make a .mu receipt of a file or table: mirror, digests, signature, log entry.",
    ),
    "markup-validate": Entry(
        "dunes.commands.markup_validate:markup_validate",
        "Say what a .mu receipt proves, and give its source back.",
    ),
    "log": Entry(
        "dunes.commands.log:app",
        "Every receipt that was signed here, in order, for good.",
    ),
    "flash-node": Entry(
        "dunes.commands.flash_node:flash_node",
        "Flash firmware on nodes over SMP, UF2 or a debug probe; what does not run is taken back.",
    ),
    "firmware": Entry(
        "dunes.commands.firmware:app",
        "Keep the firmware that nodes can be flashed with.",
    ),
    "config": Entry(
        "dunes.commands.config:config",
        "Show every setting, and change those that the profile keeps.",
    ),
    "service": Entry(
        "dunes.commands.service:service",
        "Print a systemd unit for sync, ingest or a ground station; install nothing.",
    ),
    "completions": Entry(
        "dunes.commands.completions:completions",
        "Print the shell's completions for every tool, or install them.",
    ),
    "help": Entry(
        "dunes.commands.help:show_help",
        "Explain what holds for every command: exit codes, variables, files, units.",
    ),
    "complete-names": Entry(
        "dunes.commands.complete_names:complete_names",
        "Name what there is of a kind, one a line, for completions.",
        hidden=True,
    ),
}

app = lazy_app("dunes", ABOUT, COMMANDS)


def main() -> int:
    """Run `dunes`."""
    return run(app, "dunes")

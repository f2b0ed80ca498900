"""The command table of `torgo`: names, their help, and where each lives. No logic."""

from dunes.console import Entry, lazy_app, run

ABOUT = "Design Bluetooth meshes that survive losses, prove it, and draw them."

COMMANDS: dict[str, Entry] = {
    "generate": Entry(
        "torgo.commands.generate:generate",
        "Plan a mesh that survives losses, prove it, and draw it.",
    ),
    "mars-mode": Entry(
        "torgo.commands.mars_mode:mars_mode",
        "Let obstacles move and power drop on Mars, and adapt the plan step by step.",
    ),
    "evolve": Entry(
        "torgo.commands.evolve:evolve",
        "Search on from a plan's relays, and adapt it while power fails and obstacles move.",
    ),
    "rescue-topology": Entry(
        "torgo.commands.rescue_topology:rescue_topology",
        "Plan a mesh of anchors and wearables for a disaster zone.",
    ),
    "scale": Entry(
        "torgo.commands.scale:scale",
        "Plan thousands of nodes: the lowest power that does, and a gateway for each thousand.",
    ),
    "prove": Entry(
        "torgo.commands.prove:prove",
        "Show how surely live nodes reach a live gateway: PASS, FAIL or not shown.",
    ),
    "simulate": Entry(
        "torgo.commands.simulate:simulate",
        "Flood traffic over a plan: delivery, latency, airtime, energy.",
    ),
    "simulate-failure": Entry(
        "torgo.commands.simulate_failure:simulate_failure",
        "Let nodes fail for a while: who is cut off, what still arrives; exit 1 if anyone is.",
    ),
    "explain": Entry(
        "torgo.commands.explain:explain",
        "Say what a node does, why, and what hangs on it.",
    ),
    "compare": Entry(
        "torgo.commands.compare:compare",
        "Compare two plans: figures, and which nodes change their roles.",
    ),
    "export": Entry(
        "torgo.commands.export:export",
        "Write a plan as a picture, a map, a graph, or a file for another program.",
    ),
    "status": Entry(
        "torgo.commands.status:status",
        "Prove this folder's plan anew, and say how it stands; exit 1 if it does not hold.",
    ),
    "feedback": Entry(
        "torgo.commands.feedback:feedback",
        "Work what sensors say into the plan, changing few roles.",
    ),
    "init": Entry(
        "torgo.commands.init:init",
        "Write torgo.toml: which mesh this folder's plans are for.",
    ),
    "env-set": Entry(
        "torgo.commands.init:env_set",
        "Set the environment of this folder's plans in torgo.toml.",
    ),
    "environments": Entry(
        "torgo.commands.environments:environments",
        "List the environments, or show one as a file to copy and change.",
    ),
}

app = lazy_app("torgo", ABOUT, COMMANDS)


def main() -> int:
    """Run `torgo`."""
    return run(app, "torgo")

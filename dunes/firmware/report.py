"""What `dunes flash-node` tells: a row per node."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NodeRow:
    """What became of one node.

    Attributes:
        node: its name.
        way: ble, serial, udp, uf2 or probe.
        board: as it says; empty if it does not.
        before: the version that it ran; empty if it does not say.
        now: the version that it runs now, as far as is known.
        result: updated, on-trial, copied, up-to-date, would-update, refused, reverted, failed;
            of nodes that nobody named also not-older (it runs this version or a newer one),
            other-board and no-smp (it cannot be updated so).
        code: why not, as a stable word; empty if nothing is wrong.
        message: why not, for people.
        hint: what to do about it.
        exit: the exit status that this alone would be; 0 if nothing is wrong.
        sent_bytes: of the image, now.
        resumed_bytes: what the node had of it from before.
        breaks: how often the link broke meanwhile.
        duration_s: from the first question to the last answer.
        simulated: whether the node is virtual.
    """

    node: str
    way: str
    board: str = ""
    before: str = ""
    now: str = ""
    result: str = ""
    code: str = ""
    message: str = ""
    hint: str = ""
    exit: int = 0
    sent_bytes: int = 0
    resumed_bytes: int = 0
    breaks: int = 0
    duration_s: float = 0.0
    simulated: bool = False


@dataclass(frozen=True, slots=True)
class FlashReport:
    """What became of all nodes.

    Attributes:
        firmware: its name with its version.
        dry_run: nothing was changed.
        forced: the reason that was allowed; empty if none was.
        nodes: in order of name.
        updated: how many run it now that did not before.
        failed: how many should, and do not.
        simulated: whether any node is virtual.
    """

    firmware: str
    dry_run: bool
    forced: str
    nodes: tuple[NodeRow, ...]
    updated: int
    failed: int
    simulated: bool

"""`dunes firmware`: the table of its commands. No logic."""

from dunes.console import Entry, lazy_app

ABOUT = "Keep the firmware that nodes can be flashed with."

app = lazy_app(
    "firmware",
    ABOUT,
    {
        "list": Entry(
            "dunes.commands.firmware_list:list_",
            "List all firmware that is at hand, and who signed it.",
        ),
        "add": Entry(
            "dunes.commands.firmware_add:add",
            "Take an image that west built into the catalogue, and sign it.",
        ),
        "show": Entry(
            "dunes.commands.firmware_show:show",
            "Show one firmware: its manifest, its image, and what speaks against it.",
        ),
    },
    top=False,
)

"""`dunes keys`: the table of its commands. No logic."""

from dunes.console import Entry, lazy_app

ABOUT = "Keep this place's keys, and say which keys of others are believed."

app = lazy_app(
    "keys",
    ABOUT,
    {
        "list": Entry(
            "dunes.commands.keys_list:list_",
            "List this place's keys and those it trusts.",
        ),
        "show": Entry(
            "dunes.commands.keys_list:show",
            "Show one key: the identity, a trusted one by kid, or a document.",
        ),
        "export": Entry(
            "dunes.commands.keys_export:export",
            "Write the public key document, or with --private a copy under a passphrase.",
        ),
        "rotate": Entry(
            "dunes.commands.keys_rotate:rotate",
            "Replace this place's key; what was sealed to the old one still opens.",
        ),
        "verify": Entry(
            "dunes.commands.keys_verify:verify",
            "Check a key document: its signature, its file, and whether it opens here.",
        ),
        "trust": Entry(
            "dunes.commands.keys_trust:trust",
            "Believe somebody's key from now on, for the roles that are named.",
        ),
        "revoke": Entry(
            "dunes.commands.keys_trust:revoke",
            "Believe a key no longer, for good.",
        ),
    },
    top=False,
)

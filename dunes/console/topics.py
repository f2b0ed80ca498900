"""What holds for every command, told once: `dunes help TOPIC`, man pages and docs read it."""

from dataclasses import dataclass

from dunes.errors import Exit
from dunes.settings import SETTINGS, TABLE, environment_name


@dataclass(frozen=True, slots=True)
class Row:
    """A name and what it means."""

    name: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Topic:
    """One thing to know: a line, and a table of names."""

    name: str
    title: str
    about: str
    rows: tuple[Row, ...]


MEANINGS: dict[Exit, str] = {
    Exit.OK: "Done, or nothing left to do.",
    Exit.NO: "The answer is no: damaged buffer, refused scope, failed threshold.",
    Exit.USAGE: "The command line is wrong.",
    Exit.DATAERR: "Input that cannot be read.",
    Exit.NOINPUT: "No such file, buffer, table or node.",
    Exit.UNAVAILABLE: "Radio, router or peer absent or silent.",
    Exit.SOFTWARE: "A bug of ours: please report it.",
    Exit.IOERR: "Disk, database file or serial line.",
    Exit.TEMPFAIL: "Link down, work is queued: repeat later.",
    Exit.PROTOCOL: "A peer broke the protocol.",
    Exit.NOPERM: "Key mode, scope or permission forbids it.",
    Exit.CONFIG: "Configuration is wrong or incomplete.",
    Exit.INTERRUPTED: "Stopped by Ctrl-C.",
}

EXIT_CODES = Topic(
    "exit-codes",
    "What the exit status says",
    "The same for every command; 65 to 78 are those of sysexits.h, and systemd knows them.",
    tuple(Row(str(int(status)), meaning) for status, meaning in MEANINGS.items()),
)

ENVIRONMENT = Topic(
    "environment",
    "Variables that the commands read",
    "A variable outranks every file, a flag outranks a variable.",
    (
        Row("DUNES_HOME", "Folder that holds everything; see dunes help files."),
        Row("DUNES_DEBUG", "1: a bug prints its trace."),
        Row("NO_COLOR", "Anything: no colours."),
        Row("CREDENTIALS_DIRECTORY", "Where systemd leaves secrets, such as api-key."),
        Row("DUNES_CLIENT_ID", "Of sakina auth-flow: this gateway's name at the issuer."),
        Row("DUNES_CLIENT_SECRET", "Of sakina auth-flow: its secret there."),
        Row("SAKINA_TOKEN", "A token that wins over every stored login."),
        Row("SAKINA_TOKEN_STORE", "Where logins are kept: file, keyring or none."),
        *(
            Row(environment_name(key), f"{setting.help} ({key})")
            for key, setting in SETTINGS.items()
            if setting.kind is not TABLE
        ),
    ),
)

FILES = Topic(
    "files",
    "Where files live",
    "DUNES_HOME holds all, if set; else STATE_DIRECTORY under systemd; else /etc/dunes and"
    " /var/lib/dunes for root, and the XDG folders for everybody else.",
    (
        Row("./dunes.toml", "Settings of the working directory; outranks the others."),
        Row("config.toml", "Settings written by hand: /etc/dunes, and the user's config folder."),
        Row("profile.json", "Settings written by init-starlink, mcp init and config set."),
        Row("sakina.json", "Where logins are kept, and the provider used where none is named."),
        Row(
            "policies.json",
            "Who may do what, on top of the shipped policies; policies.mu signs it.",
        ),
        Row("wallet.md", "Identities, grants and receipts: sakina wallet-show."),
        Row(
            "data/",
            "The database of buffer and meshes, firmware; at a ground station, what it received.",
        ),
        Row("keys/", "Private keys and secrets, mode 0600 in a folder of mode 0700."),
        Row("state/", "The link monitor's memory, logs, decisions (audit/), the simulated site."),
        Row("state/mesh/", "How far each mesh is: what its database must not fall behind."),
        Row("run/", "Locks and sockets."),
    ),
)

UNITS = Topic(
    "units",
    "Quantities as they are typed",
    "A quantity carries its unit, and the option decides what m is; a bare number is refused.",
    (
        Row("duration", "500ms, 30s, 10m (minutes), 2h, 1d"),
        Row("length", "1000m (metres), 10km"),
        Row("frequency", "435MHz"),
        Row("size", "10GB, 512MiB"),
        Row("rate", "10Mbps"),
    ),
)

JSON = Topic(
    "json",
    "Output for programs",
    "Data goes to stdout, everything else to stderr.",
    (
        Row("--json", "One object; with --watch one object a line. Its first key is schema."),
        Row("--schema", "The JSON Schema of that object."),
        Row("schema", "Name and number; a removed or re-meant key raises the number."),
        Row("errors", 'On stderr: {"error": {"code", "message", "hint", "exit"}}.'),
        Row("--log-format json", "Notes and warnings as JSON Lines on stderr."),
    ),
)

TOPICS: dict[str, Topic] = {
    topic.name: topic for topic in (EXIT_CODES, ENVIRONMENT, FILES, UNITS, JSON)
}

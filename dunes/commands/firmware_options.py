"""What the firmware commands share: where firmware is looked for."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from dunes.firmware.catalogue import Source
    from dunes.firmware.shelf import Shelf
    from dunes.settings import Settings
    from dunes.site import Site

Catalogues = Annotated[
    list[str] | None,
    typer.Option(
        "--catalogue",
        metavar="FOLDER|URL",
        help="Look here first: a folder, or https://…; repeatable.",
    ),
]


def find_shelf(
    settings: "Settings", site: "Site | None", given: list[str] | None, name: str = ""
) -> "Shelf":
    """Read all catalogues, or what they have of one firmware.

    Those that were named go first, then the profile's, our own, the site's.
    """
    from dunes.clock import SYSTEM_CLOCK
    from dunes.firmware.shelf import open_shelf

    texts = [*(given or ()), *filter(None, [settings["firmware.catalogue"]])]
    more = [make_source(text, settings) for text in texts]
    return open_shelf(settings.paths, SYSTEM_CLOCK.unix_us(), site=site, more=more, name=name)


def make_source(text: str, settings: "Settings") -> "Source":
    """Read what stands after `--catalogue`.

    Raises:
        UsageError: no address.
        NotFound: no folder.
    """
    from dunes.errors import NotFound
    from dunes.firmware.catalogue import Folder
    from dunes.text import printable

    if "://" in text:
        from dunes.firmware.fetch import Web

        return Web(text, tls_sha256=settings["firmware.tls_sha256"])
    folder = Path(text)
    if not folder.is_dir():
        raise NotFound(f"no folder {printable(text, 200)}", hint="ls -d " + printable(text, 200))
    return Folder(folder)

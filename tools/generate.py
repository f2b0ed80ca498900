"""Write what is made from the command tree, or say whether it is current.

python tools/generate.py [--check]
"""

import sys
from pathlib import Path

from dunes.console.complete_bash import bash_completion
from dunes.console.complete_fish import fish_completion
from dunes.console.complete_zsh import zsh_completion
from dunes.console.manpage import man_page
from dunes.console.reference import reference
from dunes.console.tree import programs

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("bash", "zsh", "fish", "man")


def generated() -> dict[Path, str]:
    """Give every generated file with its content."""
    roots = programs()
    files = {ROOT / "docs/cli-reference.md": reference(roots.values())}
    for prog, root in roots.items():
        others = sorted(set(roots) - {prog})
        files |= {
            ROOT / f"completions/bash/{prog}": bash_completion(root),
            ROOT / f"completions/zsh/_{prog}": zsh_completion(root),
            ROOT / f"completions/fish/{prog}.fish": fish_completion(root),
            ROOT / f"completions/man/{prog}.1": man_page(root, others),
        }
    return files


def stale(files: dict[Path, str]) -> list[str]:
    """Name the files that are missing, different or left over."""
    present = {path for folder in FOLDERS for path in (ROOT / "completions" / folder).glob("*")}
    wrong = [path for path, text in files.items() if not path.exists() or path.read_text() != text]
    return sorted(str(path.relative_to(ROOT)) for path in {*wrong, *(present - set(files))})


def main() -> int:
    """Write or check."""
    files = generated()
    wrong = stale(files)
    if "--check" in sys.argv[1:]:
        for name in wrong:
            print(f"{name} is not what the commands say: make generated", file=sys.stderr)
        return bool(wrong)
    for name in wrong:
        path = ROOT / name
        if path in files:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(files[path])
        else:
            path.unlink()
        print(f"wrote {name}" if path in files else f"removed {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

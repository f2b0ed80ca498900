"""From argv to an exit status: the one place where errors become text."""

import json
import os
import select
import sys
import traceback
from typing import Any

import typer

from dunes.errors import DunesError, Exit


def run(  # noqa: PLR0911 - one return for each kind of ending
    app: typer.Typer, prog: str, argv: list[str] | None = None
) -> int:
    """Run a tool and give its exit status.

    Errors of ours are one line and a hint; with `--json` one JSON object, both
    on stderr. Anything else is a bug: status 70, with the trace if DUNES_DEBUG=1.
    """
    arguments = sys.argv[1:] if argv is None else argv
    as_json = "--json" in arguments
    try:
        result = typer.main.get_command(app).main(arguments, prog_name=prog, standalone_mode=False)
        sys.stdout.flush()
    except DunesError as e:
        return _tell(prog, e.code, e.message, e.hint, e.exit, as_json=as_json)
    except (BrokenPipeError, SystemExit) as e:
        # typer makes exit(1) of a broken pipe, whosever pipe it was
        if _reader_left():
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return Exit.OK
        return _bug(prog, e.__context__ or e, as_json=as_json)
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except (typer.Abort, EOFError):
        return _tell(prog, "aborted", "aborted", None, Exit.NO, as_json=as_json)
    except Exception as e:  # noqa: BLE001 - the last line of defence
        if hasattr(e, "format_message"):
            return _usage(prog, e, as_json=as_json)
        return _bug(prog, e, as_json=as_json)
    return int(result) if isinstance(result, int) else Exit.OK


def _reader_left() -> bool:
    """Say whether whoever read our output (head, less) has gone: nobody's error."""
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    return any(state & (select.POLLERR | select.POLLHUP) for _, state in poll.poll(0))


def _usage(prog: str, error: Any, *, as_json: bool) -> int:
    message = error.format_message()
    if as_json or not message:
        if not message:  # a bare program: its help has been shown
            return Exit.USAGE
        context = getattr(error, "ctx", None)
        path = context.command_path if context is not None else prog
        return _tell(prog, "usage", message, f"{path} --help", Exit.USAGE, as_json=True)
    error.show()
    return Exit.USAGE


def _bug(prog: str, error: BaseException, *, as_json: bool) -> int:
    if os.environ.get("DUNES_DEBUG") == "1":
        traceback.print_exception(error)
    text = f"{type(error).__name__}: {error}"
    hint = "please report this; DUNES_DEBUG=1 shows where it happened"
    return _tell(prog, "bug", f"unexpected {text[:500]}", hint, Exit.SOFTWARE, as_json=as_json)


def _tell(
    prog: str, code: str, message: str, hint: str | None, status: int, *, as_json: bool
) -> int:
    if as_json:
        body = {"code": code, "message": message, "hint": hint, "exit": int(status)}
        print(json.dumps({"error": body}, ensure_ascii=False), file=sys.stderr)
    else:
        print(f"{prog}: {message}", file=sys.stderr)
        if hint:
            print(f"hint: {hint}", file=sys.stderr)
    return status

"""One place for everything that can end a run: answers, errors, interruptions."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout

import typer

from avi_theory.cli.answer import Answer
from avi_theory.cli.app import app
from avi_theory.cli.interruption import listening
from avi_theory.errors import AviError

BAD_INPUT = 2
INTERRUPTED = 130

# typer brings its own copy of click; this is the base of all its usage errors in every version.
USAGE_ERROR: type[Exception] = next(
    c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException"
)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    While a verb works, stdout is closed to it: whatever a library prints goes to stderr, and only
    the answer reaches stdout.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    command = typer.main.get_command(app)
    listed = list(sys.argv[1:] if arguments is None else arguments)
    if not listed or {"--help", "--version"} & set(listed):
        return _finish(lambda: command.main(listed or ["--help"], "avi", standalone_mode=False))

    def work() -> object:
        with listening(), redirect_stdout(sys.stderr):
            return command.main(listed, "avi", standalone_mode=False)

    return _finish(work)


def _finish(work: Callable[[], object]) -> int:
    try:
        found = work()
        if isinstance(found, Answer):
            found.show()
            return found.code
        if found == INTERRUPTED:  # typer turns Ctrl-C into an exit code
            raise KeyboardInterrupt
        return found if isinstance(found, int) else 0
    except AviError as error:
        return _complain(str(error))
    except USAGE_ERROR as error:
        return _complain(f"{_message(error)} See avi --help.")
    except (KeyboardInterrupt, typer.Abort):
        sys.stderr.write("\navi: interrupted.\n")
        return INTERRUPTED
    except MemoryError as error:
        return _complain(
            f"There is not enough memory for this model at this size ({error}). "
            "Use a smaller --size, or measure in batches with --batch."
        )
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        return _complain(f"The file system refused: {error}. Choose another path.")


def _message(error: BaseException) -> str:
    format_message = getattr(error, "format_message", None)
    text = str(format_message() if format_message else error).strip()
    return text if text.endswith((".", "?")) else f"{text}."


def _complain(message: str) -> int:
    sys.stderr.write(f"avi: {message}\n")
    return BAD_INPUT

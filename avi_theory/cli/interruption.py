"""Ctrl-C that is not lost: libraries swallow it at times, as while they are imported."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_asked = threading.Event()


@contextmanager
def listening() -> Iterator[None]:
    """Interrupt the block on Ctrl-C as always, and remember that it was asked for.

    Where the caller has a handler of its own, or runs in another thread, nothing is changed.

    Raises:
        KeyboardInterrupt: at the latest when the block ends, also if a library swallowed it.
    """
    _asked.clear()
    mine = (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    )
    if mine:
        signal.signal(signal.SIGINT, _interrupt)
    try:
        yield
        heed()
    finally:
        if mine:
            signal.signal(signal.SIGINT, signal.default_int_handler)


def heed() -> None:
    """Raise an interruption again that was asked for and has not ended the work.

    Raises:
        KeyboardInterrupt: if Ctrl-C was pressed since `listening` began.
    """
    if _asked.is_set():
        raise KeyboardInterrupt


def _interrupt(number: int, frame: FrameType | None) -> None:
    _asked.set()
    raise KeyboardInterrupt

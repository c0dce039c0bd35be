"""Run a command and end it, children too, when it takes too long.

Usage: `python tools/bounded.py MINUTES COMMAND [ARGUMENT ...]`. The exit code is the command's
own, or 124 after the time is over.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys

GRACE_SECONDS = 10.0
TIMED_OUT = 124


def main(arguments: list[str]) -> int:
    """Run the command of `arguments[1:]` for at most `arguments[0]` minutes."""
    minutes, command = float(arguments[0]), arguments[1:]
    posix = os.name == "posix"
    # A shell that starts us in the background has interrupts ignored, and children inherit that:
    # tests that interrupt their own children would wait for ever.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # Its own session on POSIX, so that the whole family can be ended together.
    child = subprocess.Popen(command, start_new_session=posix)  # noqa: S603 - the caller's own command

    def end(how: signal.Signals) -> None:
        if posix:
            os.killpg(child.pid, how)
        else:
            child.kill()

    try:
        return child.wait(minutes * 60)
    except KeyboardInterrupt:
        end(signal.SIGINT)
        return child.wait()
    except subprocess.TimeoutExpired:
        print(f"ended after {minutes:g} minutes: {' '.join(command)}", file=sys.stderr)
        end(signal.SIGTERM)
        try:
            child.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            end(signal.SIGKILL if posix else signal.SIGTERM)
            child.wait()
        return TIMED_OUT


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

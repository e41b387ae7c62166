"""The small program between us and a server we start: it ends the server when we are gone.

It holds a pipe to our process as its standard input. However we end (a return, an exception,
Ctrl-C, a SIGKILL that runs no handler), the operating system closes that pipe, and the server is
ended. That is why a pipe is used, and neither `atexit` (does not run after a signal) nor
`PR_SET_PDEATHSIG` alone (Linux only, and it fires when the *thread* that started the child ends).
On Linux the death signal is added, so that the server also falls when this supervisor is killed.

The server is the leader of a process group of its own: a `temporal` on PATH may be a wrapper
script, and ending only the script would leave the real server behind. Ctrl-C at a terminal does not
reach the group, so workers can still talk to the server while they shut down.

Run by path with `python -I -S` and the standard library alone: it starts in milliseconds and does
not depend on what the parent had on `sys.path`. Arguments: seconds of grace, the command line.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from types import FrameType

CANNOT_RUN = 127
"""Exit code when the program could not be executed, as a shell has it."""


def _die_with_supervisor(supervisor: int) -> None:
    """Ask Linux to kill the process that calls this when the supervisor dies."""
    import ctypes

    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
    if os.getppid() != supervisor:  # it died before the call above took effect
        os._exit(CANNOT_RUN)


def _start(command: list[str]) -> subprocess.Popen[bytes]:
    """Start the server; no thread runs yet, so code between fork and exec is safe."""
    if sys.platform == "win32":
        return subprocess.Popen(command, stdin=subprocess.DEVNULL)
    supervisor = os.getpid()
    on_linux = sys.platform == "linux"
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        process_group=0,
        preexec_fn=(lambda: _die_with_supervisor(supervisor)) if on_linux else None,
    )


def _end(server: subprocess.Popen[bytes], *, force: bool) -> None:
    """Send the server and all that it started the signal to end."""
    if sys.platform == "win32":
        server.kill() if force else server.terminate()
        return
    with contextlib.suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGKILL if force else signal.SIGTERM)


def _stop(server: subprocess.Popen[bytes], grace: float) -> None:
    """End the server: politely for `grace` seconds, then by force."""
    if grace > 0:
        _end(server, force=False)
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(grace)
    _end(server, force=True)


def _stop_when_told(server: subprocess.Popen[bytes], grace: float) -> None:
    # The end of input tells us that our process is gone, a byte that it wants the server gone: a
    # child that it forked may keep the pipe open. Read without sys.stdin, because a thread blocked
    # in a buffered read makes the interpreter abort at exit.
    os.read(sys.stdin.fileno(), 1)
    _stop(server, grace)


def _exit_on_signal(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def main(arguments: list[str]) -> int:
    """Run the server until it ends or the pipe closes; return its exit code."""
    grace, command = float(arguments[0]), arguments[1:]
    signal.signal(signal.SIGTERM, _exit_on_signal)
    try:
        server = _start(command)
    except OSError as error:
        print(f"supervisor: cannot run {command[0]}: {error.strerror}", flush=True)
        return CANNOT_RUN
    print(f"supervisor: process {server.pid}: {' '.join(command)}", flush=True)
    watcher = threading.Thread(target=_stop_when_told, args=(server, grace), daemon=True)
    watcher.start()
    try:
        code = server.wait()
    finally:
        _stop(server, grace=0)
    print(f"supervisor: process {server.pid} ended with code {code}", flush=True)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

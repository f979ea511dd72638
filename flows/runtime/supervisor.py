"""Keeps a handful of processes running on one machine: each an isotherm command, restarted when it dies.

Their output goes to `<data dir>/logs/<name>.log`, anew for each run. A part that dies again and again is given up,
which ends the whole; so does a stop, in the reverse order of starting.
"""

import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

LOOK_EVERY_S = 0.2
RESTART_AFTER_S = (0.5, 1.0, 2.0, 5.0)
DEATHS_MAX = 5
DEATHS_WITHIN_S = 60.0
STOP_WITHIN_S = 15.0
TAIL_BYTES = 2000
NICENESS = 10

Say = Callable[[str], None]


class PartError(RuntimeError):
    """A part died too often; the message names it, its log and the log's last line."""


@dataclass(slots=True)
class Part:
    """A process to keep: `isotherm <arguments>` with these additions to the environment.

    It is started once `ready` says so (by default at once); `deaths` holds when it died lately (monotonic s). One that
    is `patient` leaves the CPU to the others when there is not enough for all.
    """

    name: str
    arguments: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    ready: Callable[[], bool] = lambda: True
    patient: bool = False
    process: subprocess.Popen[bytes] | None = None
    start_at_s: float = 0.0
    deaths: deque[float] = field(default_factory=lambda: deque(maxlen=DEATHS_MAX))


class Supervisor:
    """Runs parts, in the order given, until `stop` is asked for."""

    def __init__(self, parts: Sequence[Part], logs: Path, say: Say) -> None:
        self.parts = parts
        self._logs = logs
        self._say = say

    def look(self) -> None:
        """Start what is due and not running. Raises PartError."""
        now_s = time.monotonic()
        for part in self.parts:
            if part.process is not None and part.process.poll() is not None:
                self._mourn(part, now_s)
            if part.process is None and now_s >= part.start_at_s and part.ready():
                self._start(part)

    def run(self, until: Callable[[], bool], finish: Callable[[], None]) -> None:
        """Look after the parts until `until`, then end them, the last started first, whatever happens.

        `finish` is called when of all parts only the first still runs. Raises PartError.
        """
        self._logs.mkdir(parents=True, exist_ok=True)
        for part in self.parts:
            self._log(part).unlink(missing_ok=True)
        try:
            while not until():
                self.look()
                time.sleep(LOOK_EVERY_S)
            _stop(self.parts[1:])
            finish()
        finally:
            _stop(self.parts)

    def _start(self, part: Part) -> None:
        command = [sys.executable, "-m", "isotherm", *part.arguments]
        # A group of its own: Ctrl-C at the terminal reaches the supervisor alone, which ends the parts in order.
        with self._log(part).open("ab") as log:
            part.process = subprocess.Popen(  # noqa: S603 - our own command, no shell
                command,
                stdout=log,
                stderr=log,
                env={**os.environ, **part.environment},
                start_new_session=True,
            )
        if part.patient:
            os.setpriority(os.PRIO_PROCESS, part.process.pid, NICENESS)
        self._say(f"{part.name} started" if not part.deaths else f"{part.name} started again")

    def _mourn(self, part: Part, now_s: float) -> None:
        assert part.process is not None
        code, part.process = part.process.returncode, None
        part.deaths.append(now_s)
        self._say(f"{part.name} ended with code {code}: {self._last_line(part)}")
        if len(part.deaths) == DEATHS_MAX and now_s - part.deaths[0] < DEATHS_WITHIN_S:
            raise PartError(f"{part.name} keeps dying, see {self._log(part)}: {self._last_line(part)}")
        lately = sum(1 for death in part.deaths if now_s - death < DEATHS_WITHIN_S)
        part.start_at_s = now_s + RESTART_AFTER_S[min(lately, len(RESTART_AFTER_S)) - 1]

    def _log(self, part: Part) -> Path:
        return self._logs / f"{part.name}.log"

    def _last_line(self, part: Part) -> str:
        with self._log(part).open("rb") as log:
            log.seek(max(0, self._log(part).stat().st_size - TAIL_BYTES))
            lines = log.read().decode("utf-8", "replace").strip().splitlines()
        return lines[-1] if lines else "(it said nothing)"


def _stop(parts: Sequence[Part]) -> None:
    """Give each part time to end cleanly."""
    for part in reversed(parts):
        if part.process is not None:
            part.process.send_signal(signal.SIGTERM)
            try:
                part.process.wait(STOP_WITHIN_S)
            except subprocess.TimeoutExpired:
                part.process.kill()
                part.process.wait()
            part.process = None

"""The supervisor's rules, with parts that are tiny: `isotherm` is replaced by a module beside the test."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from flows.runtime import supervisor
from flows.runtime.supervisor import Part, PartError, Supervisor

# A stand-in for the module `isotherm`: notes its start and its end in a file, then does what its argument says.
TINY = """
import os, signal, sys, time
name, what = sys.argv[1:3]
def note(text):
    with open(os.environ["NOTES"], "a") as file:
        file.write(f"{text} {name} {os.getpid()}\\n")
def end(*_):
    note("end")
    sys.exit(0)
signal.signal(signal.SIGTERM, signal.SIG_IGN if what == "deaf" else end)
note("start")
if what == "die":
    print("some words\\nno such thing", file=sys.stderr)
    sys.exit(3)
while True:
    time.sleep(0.02)
"""


class Scene:
    """Parts in a folder, what they noted and what the supervisor said."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.said = folder, list[str]()

    def part(self, name: str, what: str = "live", ready: Callable[[], bool] = lambda: True) -> Part:
        place = {"PYTHONPATH": str(self.folder), "NOTES": str(self.folder / "notes")}
        return Part(name, (name, what), place, ready)

    def notes(self) -> list[tuple[str, str, int]]:
        path = self.folder / "notes"
        lines = path.read_text().splitlines() if path.exists() else []
        return [(what, name, int(pid)) for what, name, pid in map(str.split, lines)]

    def started(self) -> list[str]:
        return [name for what, name, _ in self.notes() if what == "start"]

    def run(
        self, parts: list[Part], until: Callable[[], bool], finish: Callable[[], None] = lambda: None
    ) -> None:
        give_up_s = time.monotonic() + 60
        Supervisor(parts, self.folder / "logs", self.said.append).run(
            lambda: until() or time.monotonic() > give_up_s, finish
        )


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    (tmp_path / "isotherm.py").write_text(TINY)
    monkeypatch.chdir(tmp_path)  # `python -m` looks here first
    monkeypatch.setattr(supervisor, "LOOK_EVERY_S", 0.02)
    monkeypatch.setattr(supervisor, "RESTART_AFTER_S", (0.01, 0.02))
    return Scene(tmp_path)


def test_parts_end_in_reverse_and_the_first_outlives_the_finish(scene: Scene) -> None:
    parts = [scene.part(name) for name in "abc"]
    seen: list[tuple[str, str]] = []
    scene.run(
        parts,
        lambda: len(scene.started()) == 3,
        lambda: seen.extend((what, name) for what, name, _ in scene.notes()),
    )
    assert [x for x in seen if x[0] == "end"] == [("end", "c"), ("end", "b")]
    assert [name for what, name, _ in scene.notes() if what == "end"] == ["c", "b", "a"]
    assert scene.said == ["a started", "b started", "c started"]
    assert all(part.process is None for part in parts)


def test_a_part_waits_until_it_is_ready(scene: Scene) -> None:
    late = scene.part("late", ready=lambda: "first" in scene.started())
    scene.run([late, scene.part("first")], lambda: len(scene.started()) == 2)
    assert scene.started() == ["first", "late"]


def test_a_killed_part_comes_back(scene: Scene) -> None:
    def killed_once() -> bool:
        starts = [pid for what, name, pid in scene.notes() if (what, name) == ("start", "b")]
        if len(starts) == 1 and not killed:
            killed.append(starts[0])
            os.kill(starts[0], signal.SIGKILL)
        return len(starts) == 2

    killed: list[int] = []
    scene.run([scene.part("a"), scene.part("b")], killed_once)
    assert sorted(scene.started()) == ["a", "b", "b"]
    assert scene.said[2:] == ["b ended with code -9: (it said nothing)", "b started again"]


def test_a_part_that_keeps_dying_ends_the_whole(scene: Scene) -> None:
    with pytest.raises(PartError, match=r"bad keeps dying, see .*bad\.log: no such thing"):
        scene.run([scene.part("good"), scene.part("bad", "die")], lambda: False)
    assert scene.started().count("bad") == supervisor.DEATHS_MAX
    assert scene.notes()[-1][:2] == ("end", "good")


def test_a_part_that_does_not_end_is_killed(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "STOP_WITHIN_S", 0.2)
    deaf = scene.part("deaf", "deaf")
    scene.run([deaf], lambda: bool(scene.started()))
    ((_, _, pid),) = scene.notes()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_logs_are_those_of_this_run(scene: Scene) -> None:
    log = scene.folder / "logs" / "a.log"
    log.parent.mkdir()
    log.write_text("of a run before")
    scene.run([scene.part("a")], lambda: bool(scene.started()))
    assert log.read_text() == ""


def test_a_patient_part_leaves_the_cpu_to_others(scene: Scene) -> None:
    parts = [scene.part(name) for name in "ab"]
    parts[1].patient = True
    seen: list[int] = []

    def until() -> bool:
        if len(scene.started()) == 2:
            seen.extend(os.getpriority(os.PRIO_PROCESS, part.process.pid) for part in parts if part.process)
        return bool(seen)

    scene.run(parts, until)
    assert seen[1] - seen[0] == supervisor.NICENESS

"""Files into the log: batches of bars and trades onto `raw.files`, and what is said of it at the end."""

import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from connectors.archive import archive
from connectors.bars_file import FileError
from connectors.batch import ORIGIN, TOPIC, Bars, Batch
from connectors.imports import Options, imported, pairs
from connectors.log import Log
from connectors.record import encode_line

SAY_EVERY_S = 1.0
NAME_BYTES_MAX = 200

Say = Callable[[str], None]


@dataclass(slots=True)
class Told:
    """What came of some files."""

    files: int = 0
    rows: int = 0
    from_ns: int | None = None  # of bars the first and the last opening, of trades their times
    to_ns: int | None = None
    gaps: int = 0
    set_aside: Counter[str] = field(default_factory=Counter)
    notes: dict[str, None] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)

    def count(self, batch: Batch) -> None:
        """Hear of a batch that was published."""
        times = batch.open_ns if isinstance(batch, Bars) else batch.time_ns
        self.rows += len(times)
        self.from_ns = min(times) if self.from_ns is None else min(self.from_ns, *times)
        self.to_ns = max(times) if self.to_ns is None else max(self.to_ns, *times)

    def summary(self) -> dict[str, Any]:
        """As a JSON object."""
        return {
            "files": self.files, "rows": self.rows, "from": _text(self.from_ns), "to": _text(self.to_ns),
            "gaps": self.gaps, "set_aside": dict(self.set_aside), "notes": list(self.notes), "errors": self.errors,
        }  # fmt: skip


def import_bars(paths: Iterable[Path], options: Options, log: Log, say: Say) -> Told:
    """Publish the bars of files of any source; one that cannot be read leaves the others.

    Raises:
        LogError: the log refused.
    """
    told, groups = Told(), pairs(paths)
    with closing(Publication(log, told, len(groups), say)) as publication:
        for path, ask in groups:
            try:
                found = imported(path, options, ask)
            except FileError as error:
                told.errors[path.name] = str(error)
                continue
            publication.publish(path, found.batches(options))
            told.files += 1 if ask is None else 2
            told.gaps += found.gaps(options.interval_s)
            told.set_aside += found.set_aside
            told.notes.update(dict.fromkeys(found.notes))
    return told


def import_archive(paths: Iterable[Path], venue: str, log: Log, say: Say) -> Told:
    """Publish what files of Binance's archive hold; one that cannot be read leaves the others.

    Raises:
        LogError: the log refused.
    """
    told, files = Told(), list(archive_files(paths))
    with closing(Publication(log, told, len(files), say)) as publication:
        for path in files:
            try:
                found = archive(path, venue)
                publication.publish(path, found.batches())
            except FileError as error:
                told.errors[path.name] = str(error)
                continue
            told.files += 1
            told.set_aside += found.set_aside
            if not found.verified:
                told.notes["some files have no .CHECKSUM beside them: not verified"] = None
    return told


def archive_files(paths: Iterable[Path]) -> Iterator[Path]:
    """The files named, and those of the archive under the folders named."""
    for path in paths:
        if path.is_dir():
            yield from sorted(x for x in path.rglob("*") if x.suffix in (".zip", ".csv") and x.is_file())
        else:
            yield path


class Publication:
    """Appends batches to `raw.files`; durable once closed."""

    def __init__(self, log: Log, told: Told, files: int, say: Say) -> None:
        log.create(TOPIC, 1)
        self._writer = log.writer()
        self._told, self._files, self._say = told, files, say
        self._begun = 0
        self._said_s = time.monotonic()

    def publish(self, path: Path, batches: Iterable[Batch]) -> None:
        """Append the batches of a file."""
        self._begun += 1
        name = re.sub(rb"\s", b"_", path.name.encode("utf-8", "replace"))[:NAME_BYTES_MAX]
        for batch in batches:
            now_ns = time.time_ns()
            line = encode_line(now_ns, ORIGIN + name, msgspec.json.encode(batch))
            self._writer.append(TOPIC, batch.instrument.encode(), line, now_ns)
            self._told.count(batch)
            if time.monotonic() - self._said_s > SAY_EVERY_S:
                self._said_s = time.monotonic()
                self._say(f"file {self._begun} of {self._files}: {path.name}, {self._told.rows} rows so far")

    def close(self) -> None:
        """Flush and release. Raises LogError."""
        self._writer.close()


def first_error(told: Told) -> str | None:
    """What to say where no file could be read."""
    errors: Sequence[str] = list(told.errors.values())
    return errors[0] if errors and not told.files else None


def _text(ns: int | None) -> str | None:
    return None if ns is None else datetime.fromtimestamp(ns // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

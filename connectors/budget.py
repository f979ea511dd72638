"""What a key has used of its limits: kept in a file, so that neither a restart nor a second process exceeds them.

Units are charged, durably, before the request leaves; a request that a kill cut short stays charged. A unit counts
for the span of a limit and LATE_S more, by which the vendor may have counted it later than we did, or two clocks of
this machine differ. Counted is by buckets: of a tenth of a second for a minute, five minutes for a day, three hours
for a month. A bucket that only partly lies in the span counts whole.

Times are seconds since the epoch. A clock that is set back frees nothing: what then lies in the future counts as
taken now. One that is set forward by more than LATE_S between two processes does free early what it skips.
"""

import math
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from connectors.feed import DAY_S, MINUTE_S, MONTH_S, Limit, Plan

FILE = "budgets.sqlite3"  # in the data directory
LATE_S = 20.0
BUSY_S = 1.0  # to wait for another process before asking again
OPEN_S = 10.0
_TIERS = ((MINUTE_S, 0.1), (DAY_S, 300.0), (MONTH_S, 10_800.0))  # longest span, bucket
_SCHEMA = """
CREATE TABLE IF NOT EXISTS taken (
    account TEXT, tier INTEGER, bucket INTEGER, units INTEGER, PRIMARY KEY (account, tier, bucket)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS accounts (
    account TEXT PRIMARY KEY, last_s REAL DEFAULT 0, closed_until REAL DEFAULT 0, closed_for REAL DEFAULT 0,
    reason TEXT DEFAULT ''
) WITHOUT ROWID;
"""
_ADD = (
    "INSERT INTO taken VALUES (?, ?, ?, ?) ON CONFLICT (account, tier, bucket)"
    " DO UPDATE SET units = units + excluded.units"
)


class BudgetError(RuntimeError):
    """The file cannot be used, or a request costs more than a plan ever gives."""


class _BusyError(BudgetError):
    """Another process has the file."""


class Left(NamedTuple):
    """A limit and what is left of it."""

    limit: Limit
    units: int


class Budget:
    """The limits of a plan for one account, in the file at `path`. May be shared by threads and processes."""

    def __init__(self, path: Path | str, account: str, plan: Plan) -> None:
        self._path, self._account, self._plan = path, account, plan
        self._lock = threading.Lock()
        self.holds = ""  # why the last `take` has not given; "" if it has
        if long := [x for x in plan.limits if x.span_s > MONTH_S]:
            raise BudgetError(f"expected limits of at most a month, found {long[0]}")
        try:
            if str(path) != ":memory:":
                Path(path).parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, timeout=OPEN_S, isolation_level=None, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.executescript(_SCHEMA)
            self._db.execute(f"PRAGMA busy_timeout = {int(BUSY_S * 1000)}")
        except (sqlite3.Error, OSError) as error:
            raise self._unusable(error) from None

    def take(self, now_s: float, units: int = 1, share: float = 1.0) -> float:
        """0.0: the units are charged; else how long to wait before asking again. `share` leaves the rest to others.

        Raises:
            BudgetError: the file cannot be used, or the plan never gives so much.
        """
        for limit in self._plan.limits:
            if units > limit.units:
                raise BudgetError(f"expected a request of at most {said(limit)}, found one of {units}")
        try:
            with self._transaction(now_s):
                wait_s, self.holds = self._wait_s(now_s, units, share)
                if not wait_s:
                    self._charge(now_s, units)
                return wait_s
        except _BusyError as error:
            self.holds = str(error)
            return BUSY_S

    def close(self, now_s: float, wait_s: float, reason: str) -> None:
        """Nothing is given for `wait_s`, whatever restarts: the vendor has said so."""
        with self._transaction(now_s):
            (until_s,) = self._row("closed_until")
            if now_s + wait_s > until_s:
                self._db.execute(
                    "UPDATE accounts SET closed_until = ?, closed_for = ?, reason = ? WHERE account = ?",
                    (now_s + wait_s, wait_s, reason, self._account),
                )

    def closed(self, now_s: float) -> tuple[float, str]:
        """How long the vendor still wants silence, and why; (0.0, "") if it does not."""
        with self._transaction(now_s):
            until_s, reason = self._row("closed_until, reason")
        return (until_s - now_s, reason) if until_s > now_s else (0.0, "")

    def left(self, now_s: float) -> list[Left]:
        """What is left of each limit."""
        with self._transaction(now_s):
            return [
                Left(x, max(0, x.units - sum(n for _, n in self._counted(now_s, x))))
                for x in self._plan.limits
            ]

    def disconnect(self) -> None:
        """Release the file."""
        with self._lock:
            self._db.close()

    def _wait_s(self, now_s: float, units: int, share: float) -> tuple[float, str]:
        """The longest of all waits, with its reason."""
        last_s, until_s, reason = self._row("last_s, closed_until, reason")
        waits: list[tuple[float, str]] = [
            (until_s - now_s, reason),
            (last_s + self._plan.spacing_s - now_s if last_s else 0.0, "spacing"),
        ]
        for limit in self._plan.limits:
            over = sum(n for _, n in self._counted(now_s, limit)) + units
            # What costs more than the share waits until nothing is used.
            over -= max(int(limit.units * share), units)
            for free_s, taken in self._counted(now_s, limit) if over > 0 else ():
                over -= taken
                if over <= 0:
                    waits.append((free_s - now_s, f"the plan's {said(limit)} are used"))
                    break
        longest_s, why = max(waits)
        return (max(longest_s, 0.001), why) if longest_s > 0 else (0.0, "")

    def _counted(self, now_s: float, limit: Limit) -> list[tuple[float, int]]:
        """When units become free again, the first ones first, and how many."""
        tier = next(at for at, (span_s, _) in enumerate(_TIERS) if limit.span_s <= span_s)
        width_s, kept_s = _TIERS[tier][1], limit.span_s + LATE_S
        rows = self._db.execute(
            "SELECT bucket, units FROM taken WHERE account = ? AND tier = ? AND bucket > ? ORDER BY bucket",
            (self._account, tier, math.floor((now_s - kept_s) / width_s)),
        )
        return [(bucket * width_s + kept_s, units) for bucket, units in rows]

    def _charge(self, now_s: float, units: int) -> None:
        for tier, (_, width_s) in enumerate(_TIERS):
            self._db.execute(_ADD, (self._account, tier, math.ceil(now_s / width_s), units))
        self._db.execute("UPDATE accounts SET last_s = ? WHERE account = ?", (now_s, self._account))

    def _settle(self, now_s: float) -> None:
        """Bring what lies in the future to the present, and forget what no longer counts."""
        who, gone_s = self._account, now_s - MONTH_S
        self._db.execute("DELETE FROM accounts WHERE last_s < ? AND closed_until < ?", (gone_s, gone_s))
        self._db.execute("INSERT OR IGNORE INTO accounts (account) VALUES (?)", (who,))
        self._db.execute(
            "UPDATE accounts SET last_s = min(last_s, ?), closed_until = min(closed_until, ? + closed_for)"
            " WHERE account = ?",
            (now_s, now_s, who),
        )
        for tier, (span_s, width_s) in enumerate(_TIERS):
            newest = math.ceil(now_s / width_s)
            ahead = "FROM taken WHERE account = ? AND tier = ? AND bucket > ?"
            (units,) = self._db.execute(f"SELECT sum(units) {ahead}", (who, tier, newest)).fetchone()
            if units:
                self._db.execute(f"DELETE {ahead}", (who, tier, newest))
                self._db.execute(_ADD, (who, tier, newest, units))
            oldest = math.floor((now_s - span_s - LATE_S) / width_s)
            self._db.execute("DELETE FROM taken WHERE tier = ? AND bucket <= ?", (tier, oldest))

    def _row(self, columns: str) -> tuple[Any, ...]:
        found: tuple[Any, ...] = self._db.execute(
            f"SELECT {columns} FROM accounts WHERE account = ?",  # noqa: S608 - our own names
            (self._account,),
        ).fetchone()
        return found

    @contextmanager
    def _transaction(self, now_s: float) -> Iterator[None]:
        """Alone among all threads and processes; durable at its end. Raises BudgetError."""
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                self._settle(now_s)
                yield
                self._db.execute("COMMIT")
            except sqlite3.Error as error:
                raise self._unusable(error) from None
            finally:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")

    def _unusable(self, error: Exception) -> BudgetError:
        if "locked" in str(error):
            return _BusyError(f"{self._path}: another process uses the budgets")
        return BudgetError(
            f"{self._path}: expected a file of budgets that can be written, found: {error}; "
            "repair it or its permissions; without it limits of plans may be exceeded"
        )


def said(limit: Limit) -> str:
    """The limit in words: 30 in 60 s, 10000 in 31 days."""
    units, span_s = limit
    return f"{units} in {span_s / DAY_S:g} days" if span_s >= DAY_S else f"{units} in {span_s:g} s"

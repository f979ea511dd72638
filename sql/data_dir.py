"""What a data directory tells about its embedded store: where it listens, who may ask, whether it runs.

store/         the engine's data, owned by one process (store.lock), layout version in LAYOUT
store.json     url, pid and version of the running store; there while it is ready
credentials.json   passwords of its users, made once, readable by the owner only
"""

import contextlib
import fcntl
import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

USERS = ("admin", "writer", "analyst", "board")
ANNOUNCED = "store.json"
START_S = 60.0
STOP_S = 30.0
LOOK_S = 0.2
LAYOUT = "1"


class DataDirError(RuntimeError):
    """No store to be had in a data directory; the message says why and what to do."""


def embedded_store(data_dir: Path, user: str = "writer") -> tuple[str, str, str]:
    """Address, user and password of the running store of `data_dir`, as `sql.client.connect` takes them.

    Raises:
        DataDirError: none runs there, or the user is unknown.
    """
    url = live_url(data_dir)
    if url is None:
        raise DataDirError(
            f"{data_dir}: no store runs there: start one with isotherm store --data-dir {data_dir}"
        )
    return url, user, password(data_dir, user)


def live_url(data_dir: Path) -> str | None:
    """Where the store of `data_dir` listens, None if none runs; waits for one that is starting."""
    deadline = time.monotonic() + START_S
    while is_owned(data_dir):
        url = _announced(data_dir)
        if url is not None:
            return url
        if time.monotonic() > deadline:
            raise DataDirError(
                f"{data_dir}: its store has been starting for {START_S:g} s: see that process's log"
            )
        time.sleep(0.02)
    return None


@contextlib.contextmanager
def running(data_dir: Path) -> Iterator[str]:
    """Address of the store of `data_dir`; starts one for the time of the context if none runs.

    Raises:
        DataDirError: it does not start; the message holds its last line.
    """
    url = live_url(data_dir)
    if url is not None:
        yield url
        return
    child = _start(data_dir)
    try:
        yield _wait_ready(data_dir, child)
    finally:
        _end(child)


def password(data_dir: Path, user: str) -> str:
    """The user's password: ISOTHERM_STORE_<USER>_PASSWORD if set, else from credentials.json.

    Raises:
        DataDirError: there is no such user, or no credentials file yet.
    """
    if user not in USERS:
        raise DataDirError(f"user {user}: expected one of {', '.join(USERS)}")
    given = os.environ.get(f"ISOTHERM_STORE_{user.upper()}_PASSWORD")
    if given:
        return given
    path = data_dir / "credentials.json"
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))[user])
    except (OSError, ValueError, KeyError) as error:
        raise DataDirError(
            f"{path}: no password for {user} to be read there ({type(error).__name__})"
        ) from error


def make_credentials(data_dir: Path) -> dict[str, str]:
    """Password of every user; makes `credentials.json` if there is none yet."""
    path = data_dir / "credentials.json"
    if not path.exists():
        made = {user: secrets.token_urlsafe(24) for user in USERS}
        write_atomically(path, json.dumps(made, indent=1))
    return {user: password(data_dir, user) for user in USERS}


def announce(data_dir: Path, url: str, version: str) -> None:
    """Tell that the store of this process is ready."""
    write_atomically(data_dir / ANNOUNCED, json.dumps({"url": url, "pid": os.getpid(), "version": version}))


def last_port(data_dir: Path) -> int:
    """Port that a killed store of `data_dir` has left behind, 0 if none: its clients still ask there."""
    url = _announced(data_dir) or ""
    port = url.rpartition(":")[2]
    return int(port) if port.isdigit() else 0


@contextlib.contextmanager
def owned(data_dir: Path) -> Iterator[None]:
    """Own the store of `data_dir`; the lock ends with the process, however that ends.

    Raises:
        DataDirError: another process owns it.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    with (data_dir / "store.lock").open("a") as lock:
        # Somebody may be looking (is_owned), for a moment.
        deadline = time.monotonic() + LOOK_S
        while not (locked := _lock(lock)) and time.monotonic() < deadline:
            time.sleep(0.02)
        if not locked:
            raise DataDirError(
                f"{data_dir}: a store already runs there ({_announced(data_dir) or 'starting'})"
            )
        yield


def is_owned(data_dir: Path) -> bool:
    """Whether a process owns the store of `data_dir` now."""
    path = data_dir / "store.lock"
    if not path.exists():
        return False
    with path.open("a") as lock:
        return not _lock(lock)


def check_layout(folder: Path) -> bool:
    """Whether a store was made in `folder`, by this layout.

    Raises:
        DataDirError: another layout made it, or something else.
    """
    mark = folder / "LAYOUT"
    found = mark.read_text(encoding="utf-8").strip() if mark.exists() else None
    if found is None and (folder / "data").exists():
        raise DataDirError(f"{folder}: there is data but no LAYOUT file: not a store of this program")
    if found not in (None, LAYOUT):
        raise DataDirError(
            f"{folder}: layout {LAYOUT} expected, found {found}: use the version of the program that wrote it"
        )
    return found is not None


def write_atomically(path: Path, text: str) -> None:
    """Replace `path` by a file that only the owner can read."""
    new = path.with_name(f"{path.name}.{os.getpid()}")
    new.unlink(missing_ok=True)
    new.touch(mode=0o600, exist_ok=False)
    new.write_text(text + "\n", encoding="utf-8")
    new.replace(path)


def _lock(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _announced(data_dir: Path) -> str | None:
    try:
        return str(json.loads((data_dir / ANNOUNCED).read_text(encoding="utf-8"))["url"])
    except (OSError, ValueError, KeyError):
        return None


def _start(data_dir: Path) -> "subprocess.Popen[bytes]":
    data_dir.mkdir(parents=True, exist_ok=True)
    paths = [str(Path(__file__).parent.parent), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
    program = "from sql.commands import store; store()"
    arguments = ["--data-dir", str(data_dir), "--port", "0", "--until-stdin-closes"]
    with (data_dir / "store.log").open("ab") as log:
        return subprocess.Popen(  # noqa: S603 (our own program)
            [sys.executable, "-c", program, *arguments],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            env=environment,
            # Ctrl-C is for the parent, which may still have something to write.
            start_new_session=True,
        )


def _end(child: "subprocess.Popen[bytes]") -> None:
    try:
        child.communicate(timeout=STOP_S)  # closes its standard input, which ends it
    except subprocess.TimeoutExpired:
        child.kill()
        child.communicate()


def _wait_ready(data_dir: Path, child: "subprocess.Popen[bytes]") -> str:
    deadline = time.monotonic() + START_S
    while child.poll() is None and time.monotonic() < deadline:
        url = _announced(data_dir) if is_owned(data_dir) else None
        if url is not None:
            return url
        time.sleep(0.02)
    # Another process may have been faster.
    url = live_url(data_dir)
    if url is None:
        lines = (data_dir / "store.log").read_text(encoding="utf-8", errors="replace").strip().splitlines()
        raise DataDirError(
            f"{data_dir}: its store did not start: {lines[-1] if lines else 'no word in store.log'}"
        )
    return url

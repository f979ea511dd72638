"""`python -m tests.bench [--quick] [NAME ...]`; exit code 1 if a benchmark fails, 2 if it cannot begin."""

import importlib
import pkgutil
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

import click

from tests.bench._recording import PATH


def names() -> list[str]:
    """Every module of this package that does not begin with an underscore is a benchmark."""
    folder = str(Path(__file__).parent)
    return [x.name for x in pkgutil.iter_modules([folder]) if not x.name.startswith("_")]


@click.command()
@click.option("--quick", is_flag=True, help="Tiny inputs, one run each: the figures mean nothing.")
@click.argument("chosen", metavar="[NAME]...", nargs=-1, type=click.Choice(names()))
def main(quick: bool, chosen: Sequence[str]) -> None:
    """One JSON line a benchmark on standard output, progress on standard error."""
    if not PATH.is_file():
        click.echo(f"the recording is missing: expected {PATH}", err=True)
        sys.exit(2)
    failed = [name for name in chosen or names() if not bench(name, quick)]
    sys.exit(1 if failed else 0)


def bench(name: str, quick: bool) -> bool:
    """Run one benchmark, print its lines; whether it went through."""
    click.echo(f"{name} ...", err=True)
    began = time.monotonic()
    try:
        for result in importlib.import_module(f"tests.bench.{name}").bench(quick):
            click.echo(result.json())
    except Exception:
        traceback.print_exc()
        return False
    click.echo(f"{name}: {time.monotonic() - began:.1f} s", err=True)
    return True


if __name__ == "__main__":
    main()

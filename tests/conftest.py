"""Fixtures shared by all tests."""

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
RECORDINGS = ROOT.parent / "shared" / "data"


@pytest.fixture(scope="session")
def recordings() -> Path:
    """The folder of real recordings beside the checkout; never committed, so a checkout may lack it."""
    if not RECORDINGS.is_dir():
        pytest.skip(f"real recordings are missing: expected them in {RECORDINGS}")
    return RECORDINGS

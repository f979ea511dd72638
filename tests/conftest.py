"""Fixtures shared by all tests."""

import os
from pathlib import Path

import hypothesis
import pytest
from xdist.scheduler import LoadScopeScheduling

# No test is judged by the clock: examples may take as long as a busy machine makes them. Nor by chance where it decides
# whether a change lands: there the examples are the same each time; who works on the code is shown new ones.
SAME_EXAMPLES = "ISOTHERM_SAME_EXAMPLES" in os.environ
hypothesis.settings.register_profile("isotherm", deadline=None, derandomize=SAME_EXAMPLES)
hypothesis.settings.load_profile("isotherm")

ROOT = Path(__file__).resolve().parent.parent
# Not the settings of whoever runs the tests.
os.environ["ISOTHERM_CONFIG"] = ""

RECORDINGS = ROOT.parent / "shared" / "data"


@pytest.fixture(scope="session")
def recordings() -> Path:
    """The folder of real recordings beside the checkout; never committed, so a checkout may lack it."""
    if not RECORDINGS.is_dir():
        pytest.skip(f"real recordings are missing: expected them in {RECORDINGS}")
    return RECORDINGS


class OneWorkerForKafka(LoadScopeScheduling):
    """Runs the tests with `kafka` in their id in one worker, so that a test run starts one broker.

    It does what `--dist loadgroup` is for; that groups nothing since pytest 9.2 (pytest-xdist issue 1386).
    """

    def _split_scope(self, nodeid: str) -> str:
        return "kafka" if "kafka" in nodeid else nodeid


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> LoadScopeScheduling | None:
    return OneWorkerForKafka(config, log) if config.getvalue("dist") == "load" else None

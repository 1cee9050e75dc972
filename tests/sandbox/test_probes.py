"""Each way out is tried at every level that this machine can offer, as root and as an ordinary user."""

import os
import sys

import probing
import pytest

from chatdev.sandbox import levels

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the sandbox's levels need Linux")
USERS = [
    pytest.param(False, id="as root", marks=pytest.mark.skipif(os.getuid() != 0, reason="this user is not root")),
    pytest.param(True, id="as an ordinary user"),
]


@pytest.mark.parametrize("ordinary", USERS)
@pytest.mark.parametrize("level", levels.LEVELS)
def test_no_probe_gets_through(level: str, ordinary: bool) -> None:
    """A test for all, since the sandbox is set up once for the quick ones."""
    becomes = ordinary and os.getuid() == 0
    if why := probing.holds(level, ordinary=becomes):
        pytest.skip(f"{level} does not hold here: {why}")
    found = probing.as_ordinary_user(level) if becomes else probing.as_this_user(level)
    assert set(found) == {*probing.TRIED, *probing.BY_A_LIMIT, *probing.HOLDING}
    assert {probe: lines for probe, lines in found.items() if lines} == {}


def test_the_probes_are_able_to_get_through() -> None:
    """Where there are no walls, they do: else they would prove nothing. Only those that harm nothing, as nobody."""
    found = probing.as_ordinary_user(levels.UNSAFE) if os.getuid() == 0 else probing.as_this_user(levels.UNSAFE)
    assert {probe for probe, lines in found.items() if lines} >= {*probing.HARMLESS, *probing.HOLDING_ANYWHERE}
    assert not any(line.startswith("broken") for lines in found.values() for line in lines)


def test_every_probe_stands_in_the_security_notes() -> None:
    text = (probing.ROOT / "SECURITY.md").read_text(encoding="utf-8")
    rows = {line.split("|")[1].strip() for line in text.splitlines() if line.startswith("| ")}
    assert {probing.title(probe) for probe in (*probing.TRIED, *probing.BY_A_LIMIT, *probing.HOLDING)} <= rows

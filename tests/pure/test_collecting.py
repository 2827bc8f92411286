"""Python's garbage search is as it was after work that leaves it out."""

import gc
from collections.abc import Iterator

import pytest

from hpo_constructs.collecting import nothing_collected


@pytest.fixture(params=[True, False], ids=["enabled", "disabled"])
def before(request: pytest.FixtureRequest) -> Iterator[bool]:
    was = gc.isenabled()
    (gc.enable if request.param else gc.disable)()
    yield request.param
    (gc.enable if was else gc.disable)()


def test_the_search_is_left_out_and_comes_back(before: bool) -> None:
    with nothing_collected():
        with nothing_collected():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled() is before


def test_it_comes_back_after_an_error(before: bool) -> None:
    with pytest.raises(ValueError, match="no luck"), nothing_collected():
        raise ValueError("no luck")
    assert gc.isenabled() is before

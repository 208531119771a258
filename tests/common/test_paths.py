"""Paths that can't be are refused in a line."""

import pathlib

import pytest

from tf_mmdvlae.common import paths
from tf_mmdvlae.common.errors import InputError


def test_a_home_that_nobody_has_is_refused():
    assert paths.expanded("~/a") == pathlib.Path.home() / "a"
    with pytest.raises(InputError, match="~nobody_has_it/a can't be found"):
        paths.expanded("~nobody_has_it/a")


@pytest.mark.parametrize("name", ["x" * 241, "\N{LATIN SMALL LETTER E WITH ACUTE}" * 121])
def test_a_name_is_as_long_as_file_systems_allow(name):
    paths.require_short(f"{'x' * 240}/{'y' * 240}")
    with pytest.raises(InputError, match="more than 240 bytes"):
        paths.require_short(f"a/{name}/b")


def test_what_tensorflow_takes_for_a_pattern_is_refused():
    for path in ("a b/$c", "a]b", "a[b"):
        paths.require_plain(path)
    for path in ("runs [2026]/a", "a\\b"):
        with pytest.raises(InputError, match="brackets or a backslash"):
            paths.require_plain(path)

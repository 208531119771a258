"""What the measurements share: turns, processes of their own, the machine's precisions."""

import os
import pathlib

import keras
import numpy as np
import pytest

from benchmarks import harness
from benchmarks.harness import alternate, mixed_policy, run_fork, run_python
from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.model.devices import precision

KILLED = "import os, sys; print({!r}, file=sys.stderr, flush=True); os.kill(os.getpid(), 9)"


def test_compared_calls_take_turns():
    names = []
    calls = {name: lambda name=name: names.append(name) or np.zeros(1) for name in "ab"}
    times = alternate(calls, rounds=3, least=0)
    assert "".join(names) == "ab" * 5
    assert all(values.shape == (3,) and min(values) > 0 for values in times.values())


@pytest.mark.parametrize(("errors", "end"), [("", ""), ("a\nno memory", ": no memory")])
def test_a_killed_process_is_named_with_its_last_line(errors, end):
    with pytest.raises(InputError, match=rf"^A test failed \(killed by SIGKILL\){end}$"):
        run_python("A test", ["-c", KILLED.format(errors)])


def test_the_users_python_path_stays(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/theirs")
    [output] = run_python("A test", ["-c", "import sys; print(sys.path)"])
    assert "'/theirs'" in output
    assert repr(str(pathlib.Path(harness.__file__).parents[1])) in output


def test_a_fork_gives_its_result_or_says_how_it_failed():
    assert run_fork("A test", lambda: {"answer": [1, 2]}) == {"answer": [1, 2]}
    with pytest.raises(InputError, match=r"^A test failed \(killed by SIGKILL\)$"):
        run_fork("A test", lambda: os.kill(os.getpid(), 9))
    with pytest.raises(InputError, match="exit code 1.: IndexError: list index out of range"):
        run_fork("A test", lambda: [][0])


def test_the_precision_before_comes_back():
    with precision("mixed_bfloat16"):
        assert keras.layers.Dense(1).compute_dtype == "bfloat16"
    assert keras.config.dtype_policy().name == "float32"
    assert mixed_policy() == "mixed_bfloat16"

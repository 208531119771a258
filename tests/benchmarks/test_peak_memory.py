"""The memory of training, in a process of its own."""

import sys

import numpy as np
import pytest

from benchmarks.peak_memory import peak_memory
from tf_mmdvlae.common.errors import InputError


@pytest.mark.slow
def test_peak_memory_is_that_of_a_process_of_its_own(run_config):
    keep = np.ones(2**28, np.uint8)
    memory = peak_memory(run_config)
    assert memory["device"] == "CPU"
    assert 0 < memory["loaded_megabytes"] < memory["peak_megabytes"]
    del keep


def test_a_failed_process_says_why(run_config, monkeypatch, tmp_path):
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho first >&2\necho no memory >&2\nkill -9 $$\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    with pytest.raises(InputError, match=r"memory failed \(killed by SIGKILL\): no memory$"):
        peak_memory(run_config)

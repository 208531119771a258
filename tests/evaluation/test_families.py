"""The families of metrics, by name."""

import pytest

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.evaluation import families


def test_metrics_are_found_by_name():
    for name in families.METRICS:
        assert callable(families.metric(name))
    with pytest.raises(InputError, match="reconstruction, samples, prior"):
        families.metric("fid")

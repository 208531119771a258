"""What tests of whole runs share."""

import pathlib

import pytest


@pytest.fixture(scope="session")
def weights():
    """`weights(workdir)`: the arrays of a finished run's model."""
    from tf_mmdvlae.training.run import load_run

    return lambda workdir: [w.numpy() for w in load_run(workdir).weights]


@pytest.fixture
def training_alone(without_figures, monkeypatch):
    """Drawing and exporting take most of the time of a short run."""
    from tf_mmdvlae.training import finish

    def export(model, export_dir, *_, **__):
        return pathlib.Path(export_dir) / "1"

    monkeypatch.setattr(finish, "export", export)


@pytest.fixture
def when_logged(monkeypatch):
    """`when_logged(action)`: a run calls `action(step)` at each step that it logs."""

    import tensorflow as tf

    def watch(action):
        usual = tf.summary.scalar

        def scalar(name, *arguments, **settings):
            if name == "loss":
                action(int(tf.summary.experimental.get_step()))
            return usual(name, *arguments, **settings)

        monkeypatch.setattr(tf.summary, "scalar", scalar)

    return watch

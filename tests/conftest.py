"""One tiny model and one tiny folder of pictures, shared by many tests: building is slow."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
# Runs that must be equal to the bit are promised on a CPU.
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"

import gc

import numpy as np
import pytest
from PIL import Image

from tf_mmdvlae.config.settings import Config, DataConfig, ModelConfig, TrainConfig

# Tracing makes many objects that stay; looking through them less often saves a tenth of the time.
gc.set_threshold(50_000, 20, 100)

TINY = ModelConfig(
    image_shape=(8, 8, 1),
    latent_dims=(2, 3),
    blocks=(("conv4/2",), ("conv6/2",), ("dense8",)),
    head_width=5,
)


def pytest_collection_modifyitems(items):
    """Puts the longest files first, so that no process works alone at the end."""
    items.sort(key=lambda item: not item.nodeid.startswith("tests/training/"))


@pytest.fixture(autouse=True, scope="module")
def _graphs_are_left_alone():
    """Keeps the garbage collector from walking the graphs of all earlier tests again and again.

    There are millions of objects in them; the last tests took several times longer than alone.
    """
    yield
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def tiny_config():
    """A model of three blocks with latent layers of 2 and 3 dimensions on the highest two."""
    return TINY


@pytest.fixture(scope="session")
def images():
    """48 images [48, 8, 8, 1]: bars of several widths and places."""
    generator = np.random.default_rng(0)
    pictures = np.zeros((48, 8, 8, 1), np.float32)
    for picture in pictures:
        place, width = generator.integers(0, 6), generator.integers(1, 4)
        picture[:, place : place + width] = generator.uniform(0.4, 1.0)
    return pictures


@pytest.fixture(scope="session")
def picture_folder(tmp_path_factory, images):
    """A folder with two classes of PNG files."""
    folder = tmp_path_factory.mktemp("pictures")
    for index, picture in enumerate(images):
        place = folder / ("even" if index % 2 == 0 else "odd") / f"{index:03d}.png"
        place.parent.mkdir(exist_ok=True)
        Image.fromarray(np.uint8(picture[..., 0] * 255)).save(place)
    return folder


@pytest.fixture(scope="session")
def run_config(picture_folder):
    """A run of twelve steps on the picture folder."""
    return Config(
        model=TINY,
        data=DataConfig(dataset="image_folder", image_dir=str(picture_folder), test_fraction=0.3),
        train=TrainConfig(steps=12, batch_size=8, log_every=4, checkpoint_every=4),
    )


@pytest.fixture(scope="session")
def finished_run(run_config, tmp_path_factory):
    """(workdir, export_dir, Result) of that run."""
    from tf_mmdvlae.training.train import train

    folder = tmp_path_factory.mktemp("run")
    result = train(run_config, folder / "work", folder / "export")
    return folder / "work", folder / "export", result


@pytest.fixture(scope="session")
def replace():
    """`replace(config, "train.steps", 3)`: a config with one field changed."""

    def change(config, path, value):
        section, field = path.split(".")
        return config.changed(**{section: {field: value}})

    return change


@pytest.fixture
def without_figures(monkeypatch):
    """Drawing takes most of the time of a short run."""
    from tf_mmdvlae.training import finish

    monkeypatch.setattr(finish, "draw", lambda *arguments: [])


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A stand-in for the Hugging Face Hub, which this process asks; its cache is empty."""
    from huggingface_hub import constants

    from tests import hub_stub

    stub = hub_stub.Stub()
    with stub.serving() as stop:
        stub.stop = stop
        for name, value in {
            "ENDPOINT": stub.address,
            "HUGGINGFACE_CO_URL_TEMPLATE": stub.address + hub_stub.FILE,
            "HF_HUB_CACHE": str(tmp_path / "hub"),
            "HF_HUB_DISABLE_XET": True,
            "HF_TOKEN_PATH": str(tmp_path / "token"),
            "AGENT_HARNESSES_PATH": str(tmp_path / "harnesses"),
        }.items():
            monkeypatch.setattr(constants, name, value, raising=False)
        monkeypatch.setenv("HF_TOKEN", hub_stub.TOKEN)
        yield stub

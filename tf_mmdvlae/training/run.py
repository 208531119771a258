"""A run: its settings, its folder, the processes that train it, and the model that they make."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping
from typing import TypeVar

import keras
import tensorflow as tf

from tf_mmdvlae.common.errors import InputError, first_line
from tf_mmdvlae.common.files import replacing
from tf_mmdvlae.config.settings import Config
from tf_mmdvlae.data import pipeline
from tf_mmdvlae.model import devices
from tf_mmdvlae.model.directions import Directions
from tf_mmdvlae.model.fused import FusedAdam
from tf_mmdvlae.model.mmdvlae import MMDVLAE
from tf_mmdvlae.model.samplers import Samplers
from tf_mmdvlae.model.schedule import HoldThenCosine
from tf_mmdvlae.model.trunk import level_shapes
from tf_mmdvlae.training.checkpoints import Checkpoints
from tf_mmdvlae.training.held_out import has_stopped, load_held_out, standing
from tf_mmdvlae.training.workdir import Workdir, find_workdir
from tf_mmdvlae.training.workers import Workers


class Run:
    """What one process needs to train its share of a run.

    Make it before TensorFlow computes anything. The chief works in the run's folder, and each other
    process in `workers/<index>/` below it; `workdir` and `checkpoints` are those of this process.
    `trunk` is as in `train`; the model trains a copy of it. `best` holds the weights that
    `train.stop_after` keeps. `rollbacks` counts how often the run has gone back to a checkpoint,
    each time with half the learning rate. `splits` holds "train" and "test" once they are loaded,
    and the chief's "held_out" as well.
    """

    def __init__(
        self, config: Config, workdir: pathlib.Path | str, trunk: keras.Model | None = None
    ):
        self.config = config
        self.trunk = trunk
        self.workers = Workers(config.train.distribute)
        folder = pathlib.Path(workdir)
        if not self.workers.is_chief:
            folder = folder / "workers" / str(self.workers.index)
        self.workdir = Workdir(folder)
        self.checkpoints = Checkpoints(self.workdir.checkpoints, config.train.keep_checkpoints)
        self.best = Checkpoints(self.workdir.best, keep=1)
        self.rollbacks = 0
        self.splits: dict[str, pipeline.Split] = {}

    def admit_trunk(self) -> None:
        """Takes the trunk that the folder keeps; refuses another one once the run has begun."""
        file, given = self.workdir.trunk_file, self.trunk
        if given is not None:
            if self.config.train.distribute == "multi_worker":
                raise InputError("A trunk trains on one machine; set train.distribute otherwise.")
            level_shapes(given, self.config.model)
            if not self.workdir.has_begun:
                return
        advice = "put it back as it was, or begin anew in another workdir."
        self.trunk = _read_keras(file, keras.Model, advice) if file.exists() else None
        if given is not None and _shapes(given) != _shapes(self.trunk):
            raise InputError(
                f"{self.workdir.path} holds a run with another trunk, or with none; give the same "
                "one or another workdir."
            )

    def keep_trunk(self) -> None:
        """Writes the trunk to the folder of a run that has not begun."""
        if self.trunk is not None and not self.workdir.has_begun:
            with replacing(self.workdir.trunk_file) as temporary:
                self.trunk.save(temporary)

    def load_splits(self) -> None:
        """Loads the splits; an `InputError` in any of them comes before the first step."""
        self.splits = {
            name: pipeline.load_split(self.config.data, self.config.model.image_shape, name)
            for name in ("train", "test")
        }
        if self.workers.is_chief:
            self.splits["held_out"] = load_held_out(self.config, self.splits["test"])
        sizes = {name: split.size for name, split in self.splits.items()}
        require_images(sizes, self.config.train.batch_size)

    def make_model(self) -> MMDVLAE:
        """Makes the untrained model on the devices of all processes."""
        with self.workers.strategy.scope():
            return make_model(self.config, self.rollbacks, self.trunk)

    def restore(self, model: keras.Model) -> int:
        """Loads the newest checkpoint of any process in all; returns its step, 0 for none."""
        if self.workers.count == 1:
            with self.workers.strategy.scope():
                return self.checkpoints.restore(model)
        source, step = self.workers.newest(self.checkpoints.newest()[0])
        with self.workers.strategy.scope():
            model.optimizer.build(model.trainable_variables)
        if step:
            values = None
            if self.workers.index == source:
                # Only this one has the file, but all must assign a distributed variable together.
                reader = make_model(self.config)
                self.checkpoints.restore(reader)
                values = _float_variables(reader)
            self.workers.copy(_float_variables(model), values, source)
            model.optimizer.iterations.assign(step)
        return step

    def restore_best(self, model: keras.Model) -> None:
        """With `train.stop_after`, loads the weights of the best measurement; says which."""
        history = self.workdir.read_history()
        step, waited = standing(history, self.config)
        train = self.config.train
        if not train.stop_after or not step:
            return
        if has_stopped(history, self.config) and history[-1]["step"] < train.steps:
            print(
                f"The run ends at step {history[-1]['step']:,} of {train.steps:,}: {waited} "
                "measurements of held-out images were no better.",
                flush=True,
            )
        if not waited:
            return
        with self.workers.strategy.scope():
            is_whole = self.best.load(model, step)
        print(
            f"The weights of step {step:,} are kept, the best on held-out images."
            if is_whole
            else f"The weights of step {step:,}, the best, are gone; the last ones are kept.",
            flush=True,
        )

    def single_device_model(self, model: keras.Model) -> MMDVLAE:
        """Copies the weights and the optimizer of `model` to one device, in float32."""
        if (self.config.train.precision, self.config.train.distribute) == ("float32", "none"):
            return model
        config = self.config.changed(train={"precision": "float32"})
        copy = make_model(config, self.rollbacks, self.trunk)
        copy.optimizer.build(copy.trainable_variables)
        copy.set_weights(model.get_weights())
        # Where losses are scaled, the optimizer that steps is an inner one.
        optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
        for mine, theirs in zip(copy.optimizer.variables, optimizer.variables, strict=True):
            mine.assign(theirs)
        return copy


def require_images(sizes: Mapping[str, int], batch_size: int) -> None:
    """Refuses splits, "train" and "test", of too few images."""
    size, test_size = sizes["train"], sizes["test"]
    missing = []
    if size < batch_size:
        hint = f"--batch_size={size} or less" if size > 1 else "more images, at least 2"
        missing.append(
            f"The training split has {size} images, fewer than a batch of {batch_size}; "
            f"give {hint}."
        )
    if test_size < 2:
        missing.append(
            f"The test split has {test_size} images; at least 2 are needed. "
            "Give more images or a larger --config.data.test_fraction."
        )
    if missing:
        raise InputError(" ".join(missing))


def make_model(config: Config, rollbacks: int = 0, trunk: keras.Model | None = None) -> MMDVLAE:
    """Makes the untrained, compiled model of a config on the devices of the current strategy.

    Each rollback halves the learning rate. The model has a copy of `trunk`, if one is given.
    """
    train = config.train
    keras.utils.set_random_seed(train.seed)
    highest = train.learning_rate / 2**rollbacks
    rate = HoldThenCosine(highest, train.steps, train.decay_start, train.continued_from)
    xla = devices.jit_compile(train.xla)
    with devices.precision(train.precision):
        fade_in = train.fade_in(len(config.model.latent_dims))
        described = keras.saving.serialize_keras_object(trunk)
        copy = keras.saving.deserialize_keras_object(described)
        model = MMDVLAE(config.model, train.seed, fade_in, copy)
    if trunk is not None:
        # A copy of a class of its own is not built before the model is.
        copy.set_weights(trunk.get_weights())
    if train.sees_whole_batch(tf.distribute.get_strategy().num_replicas_in_sync):
        devices.synchronize_normalization(model)
    model.exchange_dtype = devices.exchange_dtype(train.exchange_precision, train.distribute)
    model.compile(FusedAdam(rate), jit_compile=xla, steps_per_execution=train.steps_per_execution)
    return model


def _shapes(model):
    return None if model is None else [tuple(weight.shape) for weight in model.weights]


def _float_variables(model: MMDVLAE) -> list:
    variables = (*model.weights, *model.optimizer.variables)
    return [variable for variable in variables if str(variable.dtype).startswith("float")]


def load_run(workdir: pathlib.Path | str) -> MMDVLAE:
    """Loads the model of a finished run, ready for `encode`, `decode`, `sample` or `fit`.

    For `fit` the model is compiled anew, with Adam at the learning rate of the config and with no
    layer fading in. (`keras.saving.load_model` on its `model.keras` gives the optimizer as the run
    left it.) `workdir` may also be a name on the Hugging Face Hub, hf://user/name[@revision], to
    which `bin/publish --workdir` sent a run. Raises an `InputError` if there is no finished run in
    `workdir`, or it can't be fetched.
    """
    folder = find_workdir(workdir)
    config = folder.read_finished_config()
    model = read_model(folder)
    sizes = (config.model.image_shape, config.model.latent_dims)
    if (model.config.image_shape, model.config.latent_dims) != sizes:
        raise InputError(
            f"{folder.model_file} has images of {model.config.image_shape} and layers of "
            f"{model.config.latent_dims}, not {sizes[0]} and {sizes[1]} as config.json beside it."
        )
    model.fade_in = None
    model.compile(optimizer=FusedAdam(config.train.learning_rate))
    return model


def read_model(workdir: Workdir) -> MMDVLAE:
    """Reads `model.keras` with the optimizer as the run left it; refuses a broken file."""
    advice = "remove metrics.json there and give the bin/train command again to write it anew."
    return _read_keras(workdir.model_file, MMDVLAE, advice)


def _read_keras(file, kind, advice):
    try:
        model = keras.saving.load_model(file)
        if not isinstance(model, kind):
            raise TypeError(f"it holds a {type(model).__name__}, not a {kind.__name__}")
    except Exception as error:  # Keras raises whatever its readers and a file's classes ran into.
        raise InputError(f"{file} cannot be read ({first_line(error)}); {advice}") from error
    return model


Fitted = TypeVar("Fitted", Directions, Samplers)


def read_fitted(kind: type[Fitted], path: pathlib.Path, model: MMDVLAE) -> Fitted | None:
    """Reads directions or samplers of a run; None where it has none.

    Those of other layers than the model's are an `InputError`.
    """
    if not path.exists():
        return None
    fitted = kind.load(path)
    if fitted.latent_dims != model.config.latent_dims:
        raise InputError(
            f"{path} is of layers of {fitted.latent_dims} dimensions; the run's model has "
            f"{model.config.latent_dims}."
        )
    return fitted

"""The MMD variational ladder autoencoder as a Keras model."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

import keras
import tensorflow as tf
from keras import ops

# Saved runs name the learning-rate schedule; this import lets Keras find it.
import tf_mmdvlae.model.schedule  # noqa: F401
from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.config.parsing import from_dict
from tf_mmdvlae.config.settings import ModelConfig
from tf_mmdvlae.model import devices, mmd
from tf_mmdvlae.model.fused import BatchStatistic, averaging_since_start
from tf_mmdvlae.model.image_checks import check_format, check_range, checked, refusals
from tf_mmdvlae.model.layers import GaussianHead, GenerativeBlock, InferenceBlock
from tf_mmdvlae.model.trunk import level_shapes, levels, own_averages

# Three kinds of noise, each a stream of its own under one seed.
_TRAIN, _TEST, _SAMPLE = 0, 1, 2

Tensors = dict[str, tf.Tensor]


@keras.saving.register_keras_serializable(package="tf_mmdvlae")
class MMDVLAE(keras.Model):
    """Variational ladder autoencoder with an MMD penalty for each latent layer.

    The loss (Xu 2018, doi 10.4236/iim.2018.104009, section 2.4), with weights from the config:

        lambda_R R + sum_l lambda_l MMD^2(q(z_l), N(0, I)) + sum_l beta_l KL(q(z_l|x), N(0, I))
            + lambda_J MMD^2(q(z_1 ... z_L), N(0, I))

    R is a mean over pixels and channels of |x - x'|, (x - x')^2 or the binary cross entropy.
    One latent layer and KL weights alone make it a VAE; one layer and MMD an MMD-VAE (InfoVAE);
    several layers and KL a VLAE.

    Progressive training (after Li et al. 2020, arXiv 2002.10549): while layer l fades in, the
    generative ladder takes in gamma z_l + sqrt(1 - gamma^2) e with e ~ N(0, I), gamma rising from 0
    to 1; for codes that follow the prior, the variance is always the prior's.

    Nested dropout (after Rippel, Gelbart and Adams 2014, arXiv 1402.0915): a share of each training
    batch is decoded from its highest layers alone, without the lower ones, so that the order of the
    layers holds when all of them are there.

    Under a `tf.distribute` strategy MMD^2 is that of the whole batch. Batch normalization sees each
    replica's rows by themselves, as Keras's does; `devices.synchronize_normalization(model)` shows
    it the whole batch. Its moving averages take the mean of the replicas' statistics. Replicas send
    each other gradients in `exchange_dtype`, "float32" or, for half the bytes, "bfloat16".

    It is a Keras model like any other: `compile(optimizer)`, `fit` on images (float32
    [n, height, width, channels] in [0, 1], as arrays or a tf.data set, with or without labels,
    which are ignored), `predict` (reconstructions), `evaluate`, `save`.

    Args:
      config: a `ModelConfig`, or the dict of one.
      seed: of all noise, which depends on it and, in training, on the optimizer's step; in
        `evaluate`, on the batch's number; in `sample`, on that call's own seed. (Weights follow
        `keras.utils.set_random_seed`, as in any Keras model.)
      fade_in: None, or (start, end) optimizer steps between which each layer fades in, lowest
        layer first; (0, 0) for a layer that is there from the start.
      trunk: None for the inference ladder of `config.blocks`, or a Keras model in its place, which
        takes images and returns a list of one output [batch, ...] per latent layer, lowest layer
        first. A head flattens each output, so that any shape will do. The model trains the trunk
        itself, not a copy, and saves it within itself; a class of one's own needs `get_config` and
        `keras.saving.register_keras_serializable`. Of the config, `blocks` then describe the
        generative ladder alone, and `shared_trunk` counts for nothing. The trunk's layers do what
        they do in Keras: each computes in the dtype policy with which it was made, stays as it is
        if its `trainable` is False, and averages the statistics of batches with its own momentum.
        Under a `tf.distribute` strategy the trunk is made in the strategy's scope, and what is said
        of batch normalization above holds for it too.

    Raises:
      InputError: for a config, fade_in or trunk that do not fit each other.
    """

    train_function: Any

    def __init__(
        self,
        config: ModelConfig | dict[str, Any],
        seed: int = 0,
        fade_in: Sequence[Sequence[int]] | None = None,
        trunk: keras.Model | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if isinstance(config, dict):
            config = from_dict(ModelConfig, config, "config.model")
        self.config: ModelConfig = config
        layers = len(config.latent_dims)
        if fade_in is not None and len(fade_in) != layers:
            raise InputError(
                f"fade_in has {len(fade_in)} entries for {layers} latent layers; "
                "give one (start, end) per layer."
            )
        self.seed = seed
        self.exchange_dtype = "float32"
        self.fade_in = fade_in and tuple((int(start), int(end)) for start, end in fade_in)
        self._make_ladder(trunk)
        self._kernels = [
            mmd.kernel_for_dimension(config.kernel, config.scales, dimension)
            for dimension in (*config.latent_dims, sum(config.latent_dims))
        ]
        self._trackers = {name: keras.metrics.Mean(name=name) for name in self._term_names()}
        self._evaluated = _Evaluated(name="evaluated")

    def _make_ladder(self, trunk):
        config = self.config
        shapes, normalization = config.feature_shapes(), config.normalization
        count, width = len(config.blocks), config.head_width
        self._untapped = untapped = count - len(config.latent_dims)
        dimensions = [None] * untapped + list(config.latent_dims)

        def infer(index, name):
            return InferenceBlock(
                config.blocks[index], shapes[index], normalization, name=f"{name}_{index + 1}"
            )

        if trunk is not None:
            blocks, branches = 0, range(0)
            taps = level_shapes(trunk, config)
        else:
            # The highest block, if nothing read it, would never be trained.
            blocks = count if config.shared_trunk else count - 1
            branches = range(count if config.shared_trunk else untapped, count)
            taps = [path[-1] for path in shapes[untapped:]]
        self.trunk: keras.Model | None = trunk
        # Keras comes to "layers" before this name, so that a file has the blocks among all layers.
        self.trunk_blocks = [infer(index, "inference") for index in range(blocks)]
        self.branches = [infer(index, "branch") for index in branches]
        deviation = (config.deviation_floor, config.initial_deviation)
        self.heads = [
            GaussianHead(dimension, width, *deviation, normalization, name=f"head_{layer}")
            for layer, dimension in enumerate(config.latent_dims, start=1)
        ]
        self.generators = [
            GenerativeBlock(
                config.blocks[index],
                shapes[index],
                dimensions[index],
                width,
                has_upper=index < count - 1,
                merge=config.merge,
                is_output=index == 0,
                normalization=normalization,
                name=f"generative_{index + 1}",
            )
            for index in range(count)
        ]
        for block in (*self.trunk_blocks, *self.branches, *self.generators):
            block.build()
        for head, shape in zip(self.heads, taps, strict=True):
            head.build((None, *shape))
        self.built = True

    @property
    def latent_names(self) -> tuple[str, ...]:
        """("z_1", ..., "z_L"), lowest layer first."""
        return tuple(f"z_{layer + 1}" for layer in range(len(self.config.latent_dims)))

    def _term_names(self):
        def of_layers(kind):
            return [f"{kind}_{layer}" for layer in range(1, len(self.config.latent_dims) + 1)]

        deviations = of_layers("deviation")
        return ["reconstruction", *of_layers("mmd"), "mmd_joint", *of_layers("kl"), *deviations]

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        return [*self._trackers.values(), self._evaluated]

    def get_metrics_result(self) -> Tensors:
        """The means of all terms since the last reset, and "loss", their weighted sum."""
        terms = {name: tracker.result() for name, tracker in self._trackers.items()}
        return {"loss": self._weigh(terms), **terms}

    def encode(self, images: tf.Tensor, training: bool = False) -> tuple[Tensors, Tensors]:
        """Posterior means and deviations, two dicts {"z_1": [batch, d_1], ..., "z_L": ...}.

        Images are [batch, height, width, channels] in [0, 1]; `training` normalizes by the batch's
        statistics. Others are an InputError; inside a graph the values are not looked at.
        """
        features = ops.convert_to_tensor(images)
        check_format(features, self.config.image_shape)
        check_range(features)
        return self._posteriors(features, training)

    def _posteriors(self, images, training):
        means, deviations = {}, {}
        parts = zip(self.latent_names, self.heads, self._levels(images, training), strict=True)
        for name, head, features in parts:
            means[name], deviations[name] = head(features, training=training)
        return means, deviations

    def _levels(self, features, training):
        """Yields the features off which each latent layer is read, lowest layer first."""
        if self.trunk is not None:
            yield from levels(self.trunk, features, training)
            return
        for index in range(len(self.config.blocks)):
            below, layer = features, index - self._untapped
            if index < len(self.trunk_blocks):
                features = self.trunk_blocks[index](below, training=training)
            if layer >= 0:
                branch = self.branches[layer] if self.branches else None
                yield branch(below, training=training) if branch else features

    def decode(self, latents: Tensors, training: bool = False) -> tf.Tensor:
        """Images [batch, height, width, channels] in [0, 1] of codes {"z_1": [batch, d_1], ...}.

        An InputError says that a layer is missing, unknown or of another number of dimensions.
        """
        self._check_latents(latents)
        return ops.sigmoid(self._logits(latents, training))

    def _check_latents(self, latents):
        if not isinstance(latents, Mapping):
            raise InputError(
                "decode takes one dict of latents; encode returns two, means and deviations."
            )
        expected = dict(zip(self.latent_names, self.config.latent_dims, strict=True))
        shapes = {name: tuple(code.shape)[1:] for name, code in latents.items()}
        if shapes != {name: (dimension,) for name, dimension in expected.items()}:
            needs = ", ".join(f"{name} [batch, {d}]" for name, d in expected.items())
            given = ", ".join(f"{name} [batch, {str(s)[1:-2]}]" for name, s in shapes.items())
            raise InputError(f"The latents of this model are {needs}; given were {given}.")

    def _logits(self, latents, training, keep=None):
        features = None
        for index in reversed(range(len(self.generators))):
            layer = index - self._untapped
            code = mask = None
            if layer >= 0:
                code = ops.convert_to_tensor(latents[self.latent_names[layer]], dtype="float32")
                mask = keep and keep[layer]
            features = self.generators[index](features, code, training=training, keep=mask)
        return ops.cast(features, "float32")

    @functools.cached_property
    def encoder(self) -> keras.Model:
        """A Keras model of the weights of `encode`, for models of one's own.

        Images [batch, height, width, channels] -> (means, deviations), as `encode`; of the images
        neither values nor types are checked. Its layers are this model's own: what trains the one
        trains the other, and `encoder.trainable = False` freezes both.
        """
        images = keras.Input(self.config.image_shape, name="image")
        return keras.Model(images, self._posteriors(images, False), name="encoder")

    @functools.cached_property
    def decoder(self) -> keras.Model:
        """Likewise of `decode`: {"z_1": [batch, d_1], ..., "z_L": ...} -> images in [0, 1]."""
        dimensions = zip(self.latent_names, self.config.latent_dims, strict=True)
        latents = {name: keras.Input((dimension,), name=name) for name, dimension in dimensions}
        return keras.Model(latents, ops.sigmoid(self._logits(latents, False)), name="decoder")

    def __dir__(self) -> Iterable[str]:
        # Keras saves all that is listed here, and these two hold nothing of their own.
        return sorted(set(super().__dir__()) - {"encoder", "decoder"})

    def reconstruct(self, images: tf.Tensor) -> tf.Tensor:
        """Decodes the posterior means: [batch, height, width, channels] -> the same, in [0, 1]."""
        return self.decode(self.encode(images)[0])

    def call(self, images: tf.Tensor, training: bool = False) -> tf.Tensor:
        """The same as `reconstruct`, for `predict`."""
        return self.decode(self.encode(images, training)[0], training)

    def sample(self, n: int, seed: int = 0) -> tf.Tensor:
        """Decodes `n` draws from the prior: [n, height, width, channels] in [0, 1]."""
        noise = self._noise((n, sum(self.config.latent_dims)), _SAMPLE, seed)
        return self.decode(self._split(noise))

    def _noise(self, shape, stream, step):
        return _normal(shape, step, self.seed * 3 + stream)

    def _feature_noise(self, rows, stream, step):
        """Draws for the frequencies of random features; None for an estimator without them."""
        estimator, prior = self.config.estimator, self.config.prior
        may_be_many = estimator == "auto" and (rows is None or rows > mmd.UNBIASED_ROWS)
        if estimator != "random_features" and not (may_be_many and prior == "closed_form"):
            return None
        shape = (self.config.frequencies, sum(self.config.latent_dims) + 2)
        # Stream numbers below zero are no seed's.
        return _normal(shape, step, -1 - (self.seed * 3 + stream))

    def _split(self, joined):
        parts = tf.split(joined, self.config.latent_dims, axis=1)
        return dict(zip(self.latent_names, parts, strict=True))

    def _fading(self, step):
        """How far each layer has faded in at `step`: scalars in [0, 1], lowest layer first."""
        if self.fade_in is None:
            return None
        step = tf.cast(step, tf.float32)
        return [
            tf.clip_by_value((step - start) / max(end - start, 1), 0.0, 1.0) if end else 1.0
            for start, end in self.fade_in
        ]

    def _row_masks(self, rows):
        """Per layer, lowest first, a 0/1 mask of the rows that keep it; None keeps all."""
        share, layers = self.config.nested_dropout, len(self.latent_names)
        if not share or layers == 1:
            return None
        place = (tf.range(rows, dtype=tf.float32) + 0.5) / tf.cast(rows, tf.float32)
        lowest = tf.where(place < share, 1.0 + tf.floor(place / share * (layers - 1)), 0.0)
        return [tf.cast(layer >= lowest, tf.float32) for layer in range(layers)]

    def losses(
        self,
        images: tf.Tensor,
        step: int | tf.Tensor = 0,
        training: bool = False,
        draw: int | tf.Tensor | None = None,
    ) -> Tensors:
        """Every term of the loss on a batch, and the loss.

        The scalars are "loss", "reconstruction" (mean over pixels and channels), "mmd_1" ...
        "mmd_L" (MMD^2 of each layer's posterior samples), "mmd_joint" (MMD^2 of all layers joined,
        as the generative ladder takes them in: prior noise where a layer has not faded in), "kl_1"
        ... "kl_L" (nats) and "deviation_1" ... "deviation_L" (mean posterior deviation).

        Args:
          images: float32 [batch, height, width, channels] in [0, 1].
          step: the optimizer's step, on which noise and fading in depend.
          training: True normalizes by the batch's statistics. Under a `tf.distribute` strategy the
            images are then one replica's part of the batch, as large as any other's: MMD^2 is that
            of the codes of all replicas, and the noise of a row is that of its place in the batch.
          draw: None for training's noise, or the number of a draw from a stream of its own.
        """
        config = self.config
        replica = devices.replica() if training else devices.ALONE
        static_rows = images.shape[0] and images.shape[0] * replica.count
        frequency_noise = self._feature_noise(static_rows, *_stream(step, draw))
        means, deviations, codes, inputs, prior = self._codes(images, step, training, draw, replica)

        keep = self._row_masks(tf.shape(images)[0] * replica.count) if training else None
        keep = keep and [replica.part(layer) for layer in keep]
        logits = self._logits(self._split(inputs), training, keep)
        terms = {"reconstruction": self._reconstruction(images, logits)}
        codes, inputs = replica.gather(codes, inputs)
        latents = self._split(codes)
        priors = dict.fromkeys(latents) if prior is None else self._split(prior)

        def mmd_squared(codes, draws, kernel):
            return mmd.mmd_squared_to_prior(codes, kernel, config.estimator, draws, frequency_noise)

        for layer, name in enumerate(self.latent_names, start=1):
            kernel = self._kernels[layer - 1]
            terms[f"mmd_{layer}"] = mmd_squared(latents[name], priors[name], kernel)
            terms[f"kl_{layer}"] = kl_to_normal(means[name], deviations[name])
            terms[f"deviation_{layer}"] = ops.mean(deviations[name])
        terms["mmd_joint"] = mmd_squared(inputs, prior, self._kernels[-1])
        return {"loss": self._weigh(terms), **terms}

    def sampled_error(
        self, images: tf.Tensor, step: int | tf.Tensor, draw: int | tf.Tensor
    ) -> tf.Tensor:
        """The term "reconstruction" of `losses` outside training, computed without the others."""
        *_, inputs, _ = self._codes(images, step, False, draw, devices.ALONE)
        return self._reconstruction(images, self._logits(self._split(inputs), training=False))

    def _codes(self, images, step, training, draw, replica):
        """Means and deviations (latent dicts), codes, what the decoder takes, draws of the prior.

        The last three are [rows, all dimensions]; those of the prior are None in closed form.
        """
        config = self.config
        total = sum(config.latent_dims)
        kinds = 1 + (self.fade_in is not None) + (config.prior == "sampled")
        shape = (tf.shape(images)[0] * replica.count, kinds * total)
        noise = iter(tf.split(self._noise(shape, *_stream(step, draw)), kinds, axis=1))
        means, deviations = self.encode(images, training=training)
        mean = tf.concat(list(means.values()), axis=1)
        deviation = tf.concat(list(deviations.values()), axis=1)
        codes = mean + deviation * replica.part(next(noise))
        inputs = codes
        strengths = self._fading(step)
        if strengths is not None:
            per_dimension = zip(config.latent_dims, strengths, strict=True)
            alpha = tf.concat([tf.fill([d], strength) for d, strength in per_dimension], axis=0)
            inputs = alpha * codes + tf.sqrt(1.0 - tf.square(alpha)) * replica.part(next(noise))
        prior = next(noise) if config.prior == "sampled" else None
        return means, deviations, codes, inputs, prior

    def _weigh(self, terms):
        config = self.config
        weights = {
            "reconstruction": config.effective_reconstruction_weight,
            "mmd_joint": config.effective_joint_mmd_weight,
        }
        layers = zip(config.layer_mmd_weights, config.layer_kl_weights, strict=True)
        for layer, (mmd_weight, kl_weight) in enumerate(layers, start=1):
            weights |= {f"mmd_{layer}": mmd_weight, f"kl_{layer}": kl_weight}
        # A term of weight zero is reported, but must not cost a backward pass.
        return sum(weight * terms[name] for name, weight in weights.items() if weight)

    def _reconstruction(self, images, logits):
        if self.config.reconstruction == "bce":
            return ops.mean(ops.binary_crossentropy(images, logits, from_logits=True))
        error = images - ops.sigmoid(logits)
        return ops.mean(ops.abs(error) if self.config.reconstruction == "l1" else ops.square(error))

    def _images(self, data):
        images, _, _ = keras.utils.unpack_x_y_sample_weight(data)
        check_format(images, self.config.image_shape)
        return tf.cast(images, tf.float32)

    def fit(self, x: Any = None, *args: Any, validation_data: Any = None, **kwargs: Any) -> Any:
        """As in Keras; values outside [0, 1], NaN and frozen weights are an InputError."""
        if not self.trainable_weights:
            raise InputError("The model has no weights to train; set trainable = True.")
        if isinstance(validation_data, tuple | list):
            validation_data = (checked(validation_data[0]), *validation_data[1:])
        else:
            validation_data = checked(validation_data)
        with refusals():
            return super().fit(checked(x), *args, validation_data=validation_data, **kwargs)

    def evaluate(self, x: Any = None, *args: Any, **kwargs: Any) -> Any:
        """As in Keras; values outside [0, 1] and NaN are an InputError."""
        with refusals():
            return super().evaluate(checked(x), *args, **kwargs)

    def predict(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """As in Keras: reconstructions; values outside [0, 1] and NaN are an InputError."""
        with refusals():
            return super().predict(checked(x), *args, **kwargs)

    def train_on_batch(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """As in Keras; values outside [0, 1] and NaN are an InputError."""
        check_range(x)
        return super().train_on_batch(x, *args, **kwargs)

    def test_on_batch(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """As in Keras; values outside [0, 1] and NaN are an InputError."""
        check_range(x)
        return super().test_on_batch(x, *args, **kwargs)

    def predict_on_batch(self, x: Any) -> Any:
        """As in Keras: reconstructions; values outside [0, 1] and NaN are an InputError."""
        check_range(x)
        return super().predict_on_batch(x)

    def train_step(self, data: Any) -> Tensors:
        images = self._images(data)
        step = self.optimizer.iterations
        replica = devices.replica()
        statistics: list[BatchStatistic] | None = None if replica.count == 1 else []
        with averaging_since_start(step, statistics), tf.GradientTape() as tape:
            terms = self.losses(images, step, training=True)
            # Optimizers add up the gradients of all replicas.
            scaled = self.optimizer.scale_loss(terms["loss"] / replica.count)
        variables = self.trainable_variables
        gradients = replica.rounded(tape.gradient(scaled, variables), self.exchange_dtype)
        self.optimizer.apply_gradients(zip(gradients, variables, strict=True))
        if statistics is not None:
            statistics += [BatchStatistic(v.value, v.assign) for v in own_averages(self.trunk)]
            terms, means = replica.mean((terms, [one.value for one in statistics]))
            for one, mean in zip(statistics, means, strict=True):
                one.add(mean)
        for name, tracker in self._trackers.items():
            tracker.update_state(terms[name])
        return self.get_metrics_result()

    def make_train_function(self, force: bool = False) -> None:
        """As in Keras, but on several replicas without its exchanges of what they report."""
        strategy = self.distribute_strategy
        if strategy.num_replicas_in_sync == 1 or (self.train_function is not None and not force):
            super().make_train_function(force)
            return

        def take_step(batch):
            terms = strategy.run(self.train_step, args=(batch,))
            # All replicas report the same.
            return {name: strategy.experimental_local_results(terms[name])[0] for name in terms}

        if not self.run_eagerly:
            take_step = tf.function(take_step, jit_compile=self.jit_compile, reduce_retracing=True)

        def take_steps(batches):
            reports = [take_step(batch) for batch in islice(batches, self.steps_per_execution)]
            if not reports:
                raise StopIteration
            return reports[-1]

        self.train_function = take_steps

    def test_step(self, data: Any) -> Tensors:
        images = self._images(data)
        count = tf.cast(tf.shape(images)[0], tf.float32)
        terms = self.losses(images, self.optimizer.iterations, draw=self._evaluated.batches)
        self._evaluated.update_state(count)
        # A short last batch is not an MMD: it has few pairs, and a biased estimate depends on n.
        whole = tf.cast(count >= self._evaluated.largest, tf.float32)
        for name, tracker in self._trackers.items():
            if name.startswith("mmd"):
                value = tf.where(count > 1.0, terms[name], float("nan"))
                # NaN times a weight of zero is NaN.
                value = tf.where(whole > 0.0, value, 0.0)
                tracker.update_state(value, sample_weight=whole)
            else:
                tracker.update_state(terms[name], sample_weight=count)
        return self.get_metrics_result()

    def get_config(self) -> dict[str, Any]:
        own = {"config": {**vars(self.config)}, "seed": self.seed, "fade_in": self.fade_in}
        trunk = keras.saving.serialize_keras_object(self.trunk)
        return {**super().get_config(), **own, "trunk": trunk}

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> MMDVLAE:
        """Makes the model that `get_config` describes, with its trunk."""
        trunk = keras.saving.deserialize_keras_object(config.get("trunk"), custom_objects)
        return super().from_config({**config, "trunk": trunk}, custom_objects)


def _stream(step, draw):
    """The stream and number of a batch's noise: training's, or that of a draw beside it."""
    return (_TRAIN, step) if draw is None else (_TEST, draw)


def _normal(shape, step, stream):
    seed = tf.stack([tf.cast(step, tf.int64), tf.constant(stream, tf.int64)])
    return tf.random.stateless_normal(shape, seed, alg="philox")


class _Evaluated(keras.metrics.Metric):
    """The number of batches evaluated since the last reset, and the size of the largest one."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.batches = self.add_variable((), "zeros", dtype="int32", name="batches")
        self.largest = self.add_variable((), "zeros", dtype="float32", name="largest")

    def update_state(self, count):
        self.batches.assign_add(1)
        self.largest.assign(ops.maximum(self.largest, count))

    def result(self):
        return self.largest


def kl_to_normal(mean: tf.Tensor, deviation: tf.Tensor) -> tf.Tensor:
    """KL(N(mean, diag(deviation^2)), N(0, I)) in nats, summed over dimensions, mean over the batch.

    0.5 sum (mean^2 + deviation^2 - 1 - 2 log deviation) (Kingma and Welling 2013, appendix B), for
    means and deviations [batch, d], deviations above 0: a scalar >= 0.
    """
    terms = ops.square(mean) + ops.square(deviation) - 1.0 - 2.0 * ops.log(deviation)
    return 0.5 * ops.mean(ops.sum(terms, axis=-1))

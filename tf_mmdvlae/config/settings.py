"""Every setting and its default. Defaults live here and in `presets/`, nowhere else."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Annotated, Any, Literal

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.config.parsing import ABOVE_ZERO, FRACTION, Limit, at_least, check, from_dict

DEFAULT_SCALES = {
    "gaussian": (1.0,),
    "multiscale_gaussian": (0.05, 0.1, 0.2, 0.5, 1.0, 2.0),
    # As in Wasserstein autoencoders (Tolstikhin et al. 2018, arXiv 1711.01558).
    "inverse_multiquadratic": (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0),
}
"""Kernel -> its scales where `ModelConfig.kernel_scales` is None."""

_Kernel = Literal["gaussian", "multiscale_gaussian", "inverse_multiquadratic"]
_Blocks = Annotated[tuple[tuple[str, ...], ...], Limit(all, "have an operation in each block")]
_IMAGE_SHAPE = Limit(
    lambda shape: len(shape) == 3 and min(shape) > 0 and shape[2] in (1, 3),
    "be height, width and 1 or 3 channels",
)
_ALL_POSITIVE = Limit(lambda numbers: min(numbers, default=0) > 0, "be one or more numbers above 0")
_BELOW_ONE = Limit(lambda number: 0 <= number < 1, "be from 0 to below 1")
_OPEN_FRACTION = Limit(lambda number: 0 < number < 1, "lie in (0, 1)")
_FRACTION_ABOVE_ZERO = Limit(lambda number: 0 < number <= 1, "lie in (0, 1]")
# Statistics of fewer rows are noisy enough to change what a network learns (Wu and He 2018, Group
# normalization, arXiv 1803.08494, figure 1).
_ROWS_OF_STATISTICS = 32
# Names become parts of paths: none may lead out of a folder.
_NAME = Limit(
    lambda name: bool(re.fullmatch(r"\w[\w.+*-]*([/:]\w[\w.+*-]*)*", name, re.ASCII)),
    "be a name, such as mnist, mnist:3.0.1 or a_set/its_config",
)
_BELOW_2_32 = Limit(lambda number: number < 2**32, "be below 2**32")


def parse_operation(text: str) -> tuple[str, int, int]:
    """Reads an operation of a block: "conv32/2" as ("conv", 32, 2), "dense9" as ("dense", 9, 1)."""
    match = re.fullmatch(r"(conv)([1-9]\d*)/([1-9]\d*)|(dense)([1-9]\d*)", text)
    if match is None:
        raise InputError(
            f"model.blocks holds {text!r}; it takes conv<filters>/<stride> and dense<units>."
        )
    kind, filters, stride, dense, units = match.groups()
    return ("dense", int(units), 1) if dense else (kind, int(filters), int(stride))


@dataclass(frozen=True)
class ModelConfig:
    """The network and its objective.

    Attributes:
      image_shape: height, width, channels of an image; its values lie in [0, 1].
      latent_dims: dimensions of the latent layers, lowest layer first.
      blocks: the inference blocks, lowest first, each a tuple of operations: a 4x4 convolution
        "conv<filters>/<stride>" or a dense layer "dense<units>". The generative blocks mirror them.
        As text, operations have spaces and blocks "|" between them: "conv16/2 conv32/2 | dense256".
        The latent layers tap the highest `len(latent_dims)` blocks.
      shared_trunk: True reads each latent layer off the trunk; False gives each its own copy of the
        block that it taps, as the published networks do.
      head_width: units of the hidden layer between a block and its latent layer, on the way in and
        on the way out; 0 for none.
      merge: how a generative block takes in its latent layer: "gated_add" computes
        h + gate * f(z) with a learned gate.
      normalization: of the features in each block.
      deviation_floor: smallest posterior deviation, added to the sigmoid that gives the deviation;
        in units of the prior's deviation.
      initial_deviation: where that sigmoid starts. At 0.5 the first steps see mostly noise; a small
        value lets a large layer learn sooner.
      nested_dropout: fraction of each training batch that is decoded without its lower layers, so
        that they don't take over what higher layers learned. Equal parts keep the highest layer
        alone, the highest two, ... up to all but the lowest.
      reconstruction: the error per pixel and channel, of which the loss takes the mean; "bce" is
        the binary cross entropy.
      reconstruction_weight: its weight; None is height * width * channels, the units of an ELBO.
      mmd_weights: weight of MMD^2(q(z_l), N(0, I)): one number for all layers, or one per layer.
      joint_mmd_weight: weight of the MMD^2 of all layers joined, the only term that sees
        dependence between layers.
      kl_weights: weight of KL(q(z_l|x), N(0, I)) in nats, likewise.
      info_vae_alpha, info_vae_lambda: if given (both), they replace the weights above by InfoVAE's
        (Zhao, Song and Ermon 2017): KL weight 1 - alpha, MMD weight alpha + lambda - 1, no joint
        MMD, and the reconstruction in units of an ELBO.
      kernel: of the MMD.
      kernel_scales: the kernel's bandwidths in units of the layer's dimension d: a Gaussian has
        sigma^2 = d * scale; an inverse multiquadratic has C = 2 * d * scale. The kernel is the
        average over its scales. None takes those of `DEFAULT_SCALES`.
      estimator: of the MMD^2. "unbiased" (U-statistic) and "biased" (V-statistic) take O(n^2) for a
        batch of n, in blocks of linear memory where n is large. "random_features" takes O(n) and is
        nearly as certain. "linear_time" takes disjoint pairs of rows, which must be in random
        order; it is the fastest and by far the noisiest. "auto" is "unbiased" up to 4,096 rows and,
        if the prior is in closed form, "random_features" above.
      random_features: number of frequencies of that estimator, drawn anew in each step; rounded up
        to a multiple of the number of scales, which share them evenly.
      prior: "closed_form" takes expectations under N(0, I) in closed form (Gaussian kernels, or any
        kernel with random features); "sampled" compares with as many draws from the prior as there
        are codes (not with random features).
    """

    image_shape: Annotated[tuple[int, ...], _IMAGE_SHAPE] = (64, 64, 3)
    latent_dims: Annotated[tuple[int, ...], _ALL_POSITIVE] = (10, 10, 10, 10)
    blocks: _Blocks = (("conv24/2",), ("conv48/2",), ("conv96/2",), ("conv192/2",))
    shared_trunk: bool = True
    head_width: Annotated[int, at_least(0)] = 64
    merge: Literal["gated_add", "concatenate"] = "gated_add"
    normalization: Literal["batch", "none"] = "batch"
    deviation_floor: Annotated[float, at_least(0)] = 0.08
    initial_deviation: Annotated[float, _OPEN_FRACTION] = 0.5
    nested_dropout: Annotated[float, _BELOW_ONE] = 0.0
    reconstruction: Literal["l1", "mse", "bce"] = "l1"
    reconstruction_weight: Annotated[float | None, at_least(0)] = 100.0
    mmd_weights: float | tuple[float, ...] = 100.0
    joint_mmd_weight: Annotated[float, at_least(0)] = 100.0
    kl_weights: float | tuple[float, ...] = 0.0
    info_vae_alpha: float | None = None
    info_vae_lambda: float | None = None
    kernel: _Kernel = "multiscale_gaussian"
    kernel_scales: Annotated[tuple[float, ...] | None, _ALL_POSITIVE] = None
    estimator: Literal["auto", "unbiased", "biased", "linear_time", "random_features"] = "auto"
    random_features: Annotated[int, at_least(1)] = 1024
    prior: Literal["closed_form", "sampled"] = "closed_form"

    def __post_init__(self) -> None:
        check(self, "model")
        layers = len(self.latent_dims)
        if layers > len(self.blocks):
            raise InputError(
                f"model.latent_dims has {layers} layers but model.blocks only {len(self.blocks)} "
                "blocks, and each layer needs a block of its own; give at most "
                f"{len(self.blocks)} numbers, such as --latent_dims="
                f"{','.join(map(str, self.latent_dims[-len(self.blocks) :]))}, or more blocks."
            )
        if self.kernel == "gaussian" and len(self.scales) != 1:
            raise InputError(
                f"model.kernel is 'gaussian', which has one scale, but model.kernel_scales has "
                f"{len(self.scales)}; give one, or use 'multiscale_gaussian'."
            )
        by_features = self.estimator == "random_features"
        if by_features and self.prior == "sampled":
            raise InputError(
                "model.prior is 'sampled', but random features compare with N(0, I) itself; set "
                "--config.model.prior=closed_form."
            )
        imq = self.kernel == "inverse_multiquadratic"
        if self.prior == "closed_form" and imq and not by_features:
            raise InputError(
                "model.prior is 'closed_form', which the inverse multiquadratic kernel has for "
                "random features only; set --config.model.prior=sampled or "
                "--config.model.estimator=random_features."
            )
        if (self.info_vae_alpha is None) != (self.info_vae_lambda is None):
            raise InputError("model.info_vae_alpha and .info_vae_lambda must be given together.")
        for name in ("mmd_weights", "kl_weights"):
            weights = getattr(self, f"layer_{name}")
            if len(weights) != layers:
                raise InputError(
                    f"model.{name} has {len(weights)} numbers for {layers} latent layers; give one "
                    "number, or one per layer."
                )
            if min(weights) < 0:
                raise InputError(f"model.{name} comes to {weights}; a weight must not be below 0.")
        self.feature_shapes()

    def feature_shapes(self) -> list[tuple[tuple[int, ...], ...]]:
        """Shapes of the features (no batch) before and after each operation, block by block.

        Returns:
          For each block of k operations its k + 1 shapes, the input's first.
        """
        shape, shapes = tuple(self.image_shape), []
        for block in self.blocks:
            path = [shape]
            for text in block:
                kind, size, stride = parse_operation(text)
                if kind == "dense":
                    shape = (size,)
                elif len(shape) == 1:
                    raise InputError(
                        f"model.blocks has {text!r} after a dense layer; put it before."
                    )
                elif shape[0] % stride or shape[1] % stride:
                    raise InputError(
                        f"model.blocks: {text!r} does not divide {shape[0]}x{shape[1]} features "
                        f"(image_shape {self.image_shape}). --image_size brings blocks that fit; "
                        "without it, give an image_shape that all strides divide."
                    )
                else:
                    shape = (shape[0] // stride, shape[1] // stride, size)
                path.append(shape)
            shapes.append(tuple(path))
        return shapes

    @property
    def scales(self) -> tuple[float, ...]:
        """The kernel's scales: `kernel_scales`, or the kernel's own."""
        return DEFAULT_SCALES[self.kernel] if self.kernel_scales is None else self.kernel_scales

    @property
    def frequencies(self) -> int:
        """The number of frequencies of random features: a multiple of the number of scales."""
        return math.ceil(self.random_features / len(self.scales)) * len(self.scales)

    @property
    def effective_reconstruction_weight(self) -> float:
        """The weight of the mean reconstruction.

        It is height * width * channels for InfoVAE, whose weights are in units of the ELBO, and if
        `reconstruction_weight` is None.
        """
        if self.reconstruction_weight is None or self.info_vae_alpha is not None:
            return float(math.prod(self.image_shape))
        return self.reconstruction_weight

    @property
    def effective_joint_mmd_weight(self) -> float:
        """The weight of the joint MMD^2; 0 for InfoVAE and for a single layer."""
        if self.info_vae_alpha is not None or len(self.latent_dims) == 1:
            return 0.0
        return self.joint_mmd_weight

    def _per_layer(self, weights):
        return weights if isinstance(weights, tuple) else (float(weights),) * len(self.latent_dims)

    @property
    def layer_mmd_weights(self) -> tuple[float, ...]:
        """The weight of each layer's MMD^2, lowest layer first."""
        if self.info_vae_alpha is None or self.info_vae_lambda is None:
            return self._per_layer(self.mmd_weights)
        return self._per_layer(self.info_vae_alpha + self.info_vae_lambda - 1.0)

    @property
    def layer_kl_weights(self) -> tuple[float, ...]:
        """The weight of each layer's KL divergence, lowest layer first."""
        if self.info_vae_alpha is None:
            return self._per_layer(self.kl_weights)
        return self._per_layer(1.0 - self.info_vae_alpha)


SYNTHETIC_FACES = "synthetic_faces:2.0.0"
"""The version of the synthetic faces that this package draws."""


@dataclass(frozen=True)
class DataConfig:
    """Which images, and how they reach the model.

    Attributes:
      dataset: a TFDS name, "synthetic_faces" or "image_folder". A version may follow the first two
        ("mnist:3.0.1"); "synthetic_faces" alone becomes the version that this package draws, so
        that the record of a run says which pictures it saw.
      data_dir: the root of the TFDS data sets; None is TFDS's own default.
      train_split, test_split: TFDS split expressions, slices included ("train[:50000]"). For
        "image_folder" the splits are "train" and "test".
      image_dir: the folder of "image_folder", read at any depth.
      labels: a CSV file for "image_folder": a column of file names, then one column per attribute;
        None takes the first level of sub-folders as classes, "none" takes no labels.
      listing: the version whose rules say which files of an image folder are read, and in which
        split: "0.2" reads hidden folders, no WebP and no links to folders, and lets a picture and
        its copy lie in both splits.
      test_fraction: fraction of an image folder that becomes its test split.
      crop: side of the centre square that is kept, as a fraction of the shorter edge.
      flip: True mirrors half of the training images, left to right.
      cache: where the decoded, resized uint8 images are kept; "auto" takes "disk" for large splits
        and for those that take long to decode, "memory" for others, and "none" reads the images in
        another order.
    """

    dataset: Annotated[str, _NAME] = "synthetic_faces"
    data_dir: str | None = None
    train_split: str = "train"
    test_split: str = "test"
    image_dir: str | None = None
    labels: str | None = None
    listing: Literal["0.2", "0.3"] = "0.3"
    test_fraction: Annotated[float, _OPEN_FRACTION] = 0.1
    crop: Annotated[float, _FRACTION_ABOVE_ZERO] = 1.0
    flip: bool = False
    cache: Literal["auto", "memory", "disk", "none"] = "auto"

    def __post_init__(self) -> None:
        check(self, "data")
        if self.dataset == "synthetic_faces":
            object.__setattr__(self, "dataset", SYNTHETIC_FACES)


@dataclass(frozen=True)
class TrainConfig:
    """How long, how fast, and in what order the latent layers are learned.

    Attributes:
      steps: optimizer steps in all.
      batch_size: images per step, on all devices together.
      learning_rate: Adam's, held until `decay_start` and then falling to zero along a half cosine.
      decay_start: where the fall begins, as a fraction of `steps`; 1 keeps the rate to the end.
      seed: of the weights, the data's order and all noise.
      progressive: True trains the highest layer first and fades the lower ones in, in turn.
      first_stage: how long the highest layer trains alone, as a fraction of `steps`.
      stage: how long each further layer trains before the next one starts, likewise.
      fade: how long a layer takes to fade in, as a fraction of `stage`.
      init_from: the workdir of a finished run whose weights this one starts from, or its name on
        the Hugging Face Hub. Its layers are trained already, so none is faded in.
      ancestors: the data sets that the model of `init_from`, and those before it, learned from. The
        run finds them, and the workdir remembers them.
      continued_from: the step at which a finished run went on with more `steps`: the learning rate
        starts anew there, and no layer fades in again. The workdir remembers it.
      log_every: steps between lines in the logs.
      checkpoint_every: steps between checkpoints.
      keep_checkpoints: how many of the newest checkpoints stay; at least 2, so that one stays whole
        while another is written.
      precision: what blocks compute in, while weights and losses stay float32: "mixed_bfloat16"
        suits processors and GPUs that have it, "mixed_float16" a single GPU. The finished model
        computes in float32 whatever it was trained in.
      xla: whether XLA compiles the step; "auto" compiles it on a GPU.
      steps_per_execution: steps between two returns to Python, a divisor of `steps`; logs and
        checkpoints wait for such a return.
      distribute: "mirrored" trains on all devices of this machine, "multi_worker" on the machines
        that the environment variable TF_CONFIG names.
      batch_statistics: what batch normalization sees of a batch on several devices: "whole" all of
        it, so that the results are those of one device but for rounding; "own" each device its own
        part, so that devices wait for each other less often; "auto" is "own" where a part has 32
        images or more, and "whole" where it has fewer.
      exchange_precision: what devices send each other gradients in: "bfloat16" takes half the bytes
        of "float32" and rounds to 8 bits; "auto" is "bfloat16" with "multi_worker" on processors,
        where a network lies between them, and "float32" otherwise. Each device keeps float32
        weights. TensorFlow sends no "bfloat16" between GPUs.
      on_divergence: what follows a loss that is not finite or runs away: "stop" ends the run,
        "rollback" continues from the last good checkpoint with half the learning rate, at most
        three times.
      stop_after: the run ends once so many measurements of held-out images in a row are no better
        than the best one, and its results are of the weights of the best; 0 takes all steps, and
        the last weights. Measurements before the lowest layer has faded in don't count. Not with
        "multi_worker".
    """

    steps: Annotated[int, at_least(1)] = 5000
    batch_size: Annotated[int, at_least(2)] = 64
    learning_rate: Annotated[float, ABOVE_ZERO] = 1e-3
    decay_start: Annotated[float, FRACTION] = 0.6
    seed: Annotated[int, at_least(0), _BELOW_2_32] = 0
    progressive: bool = True
    first_stage: Annotated[float, FRACTION] = 0.35
    stage: Annotated[float, FRACTION] = 0.15
    fade: Annotated[float, FRACTION] = 0.5
    init_from: str | None = None
    ancestors: tuple[str, ...] = ()
    continued_from: Annotated[int, at_least(0)] = 0
    log_every: Annotated[int, at_least(1)] = 100
    checkpoint_every: Annotated[int, at_least(1)] = 500
    keep_checkpoints: Annotated[int, at_least(2)] = 2
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = "float32"
    xla: Literal["auto", "on", "off"] = "auto"
    steps_per_execution: Annotated[int, at_least(1)] = 1
    distribute: Literal["none", "mirrored", "multi_worker"] = "none"
    batch_statistics: Literal["auto", "own", "whole"] = "auto"
    exchange_precision: Literal["auto", "float32", "bfloat16"] = "auto"
    on_divergence: Literal["stop", "rollback"] = "stop"
    stop_after: Annotated[int, at_least(0)] = 0

    def __post_init__(self) -> None:
        check(self, "train")
        # Keras looks for an overflow in one device's gradients before they are summed.
        overflow = "an overflow on one device would spoil the weights; give mixed_bfloat16"
        leave = "; leave one of them out"
        for name, clashes, reason in (
            ("steps_per_execution", self.steps_per_execution > 1, f"steps come one by one{leave}"),
            ("xla", self.xla == "on", f"TensorFlow can't compile such a step{leave}"),
            ("precision", self.precision == "mixed_float16", overflow),
        ):
            if clashes and self.distribute != "none":
                raise InputError(
                    f"train.{name} is {getattr(self, name)!r}, but with train.distribute="
                    f"{self.distribute} {reason}."
                )
        if self.stop_after and self.distribute == "multi_worker":
            raise InputError(
                "train.stop_after is for one process, as one worker can't stop the others; leave "
                "it or train.distribute=multi_worker out."
            )
        if self.steps % self.steps_per_execution:
            raise InputError(
                f"train.steps_per_execution is {self.steps_per_execution}, which does not divide "
                f"the {self.steps} steps; give one that does."
            )

    def sees_whole_batch(self, devices: int) -> bool:
        """Whether batch normalization sees the parts of several `devices` as one batch."""
        if devices == 1:
            return False
        if self.batch_statistics == "auto":
            return self.batch_size // devices < _ROWS_OF_STATISTICS
        return self.batch_statistics == "whole"

    def fade_in(self, layers: int) -> tuple[tuple[int, int], ...] | None:
        """When each of `layers` latent layers fades in: (start, end) steps, lowest layer first.

        After proVLAE (Li et al. 2020, arXiv 2002.10549): the highest layer takes part from step 0.
        None if no layer fades in, as after `continued_from`; InputError if the stages leave layer 1
        no step of its own.
        """
        if not self.progressive or self.init_from or self.continued_from:
            return None
        stages = (self.first_stage + self.stage * index for index in range(layers - 1))
        starts = [0, *(round(self.steps * stage) for stage in stages)]
        length = round(self.steps * self.stage * self.fade)
        if starts[-1] + length >= self.steps and layers > 1:
            raise InputError(
                f"train.first_stage={self.first_stage} and train.stage={self.stage} leave layer "
                f"1 no step of its own with {layers} layers; shorten the stages or set "
                "--config.train.progressive=false."
            )
        return tuple((start, start + length if start else 0) for start in reversed(starts))


@dataclass(frozen=True)
class Config:
    """All settings of a run: `model`, `data` and `train`; InputError if they do not fit."""

    model: ModelConfig = ModelConfig()
    data: DataConfig = DataConfig()
    train: TrainConfig = TrainConfig()

    def changed(self, **sections: Mapping[str, object]) -> Config:
        """A copy in which some fields have other values.

        Args:
          **sections: `model`, `data` or `train`, each a dict of field names and new values, as in
            `config.changed(train={"steps": 3}, data={"cache": "none"})`.
        """
        parts = {name: replace(getattr(self, name), **fields) for name, fields in sections.items()}
        return replace(self, **parts)

    def to_dict(self) -> dict[str, Any]:
        """The settings as nested dicts that JSON can hold."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: object) -> Config:
        """The inverse of `to_dict`, also after a trip through JSON; InputError for unknown keys.

        "synthetic_faces" without a version is 1.0.0, the only one when records had no version, an
        "image_folder" without a listing has that of version 0.2, and before there was a choice
        batch normalization saw whole batches and devices sent float32.
        """
        config = from_dict(cls, values)
        data, train = (
            values.get(section, {}) if isinstance(values, dict) else {}
            for section in ("data", "train")
        )
        if config.train.distribute != "none":
            before = {"batch_statistics": "whole", "exchange_precision": "float32"}
            missing = {name: value for name, value in before.items() if name not in train}
            config = config.changed(train=missing)
        if data.get("dataset") == "synthetic_faces":
            return config.changed(data={"dataset": "synthetic_faces:1.0.0"})
        if data.get("dataset") == "image_folder" and "listing" not in data:
            return config.changed(data={"listing": "0.2"})
        return config

"""Every setting and its default. Defaults live here and in `configs/`, nowhere else."""

import ast
import dataclasses
import math
import re
import types
import typing

from tf_mmdvlae.common.errors import InputError

RECONSTRUCTIONS = ("l1", "mse", "bce")
KERNELS = ("gaussian", "multiscale_gaussian", "inverse_multiquadratic")
ESTIMATORS = ("auto", "unbiased", "biased", "linear_time", "random_features")
PRIORS = ("closed_form", "sampled")
MERGES = ("gated_add", "concatenate")
NORMALIZATIONS = ("batch", "none")
DEFAULT_SCALES = {
    "gaussian": (1.0,),
    "multiscale_gaussian": (0.05, 0.1, 0.2, 0.5, 1.0, 2.0),
    # As in Wasserstein autoencoders (Tolstikhin et al. 2018, arXiv 1711.01558).
    "inverse_multiquadratic": (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0),
}
CACHES = ("auto", "memory", "disk", "none")
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")
XLA = ("auto", "on", "off")
ON_DIVERGENCE = ("stop", "rollback")
DISTRIBUTIONS = ("none", "mirrored", "multi_worker")


def _choice(name, value, known):
    if value not in known:
        raise InputError(f"{name} is {value!r}; it must be one of {', '.join(known)}.")


def _at_least(name, value, low):
    if not value >= low:
        raise InputError(f"{name} is {value}; it must be at least {low}.")


def parse_operation(text):
    """Reads an operation of a block: "conv32/2" as ("conv", 32, 2), "dense9" as ("dense", 9, 1).

    Raises:
      InputError: if `text` is neither.
    """
    match = re.fullmatch(r"(conv)([1-9]\d*)/([1-9]\d*)|(dense)([1-9]\d*)", text)
    if match is None:
        raise InputError(
            f"model.blocks holds {text!r}; an operation reads conv<filters>/<stride> or "
            "dense<units>."
        )
    kind, filters, stride, dense, units = match.groups()
    return ("dense", int(units), 1) if dense else (kind, int(filters), int(stride))


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """The network and its objective.

    Attributes:
      image_shape: height, width, channels of an image; its values lie in [0, 1].
      latent_dims: dimensions of the latent layers, lowest layer first.
      blocks: the inference blocks, lowest first, each a tuple of operations: a 4x4 convolution
        "conv<filters>/<stride>" or a dense layer "dense<units>". The generative blocks mirror them.
        The latent layers tap the highest `len(latent_dims)` blocks.
      shared_trunk: True reads each latent layer off the trunk; False gives each its own copy of the
        block that it taps, as the published networks do.
      head_width: units of the hidden layer between a block and its latent layer, on the way in and
        on the way out; 0 for none.
      merge: how a generative block takes in its latent layer: "gated_add" (h + gate * f(z), the
        gate learned) or "concatenate".
      normalization: "batch" or "none".
      deviation_floor: what is added to the posterior deviation's sigmoid, in units of the prior's
        deviation.
      nested_dropout: share of each training batch that is decoded from its highest layers alone, in
        equal parts from the highest layer, from the highest two, ... up to all but the lowest; in
        [0, 1). It keeps in the higher layers what lower ones would take over.
      reconstruction: "l1", "mse" or "bce" (binary cross entropy), a mean over pixels and channels.
      reconstruction_weight: its weight; None is height * width * channels, the units of an ELBO.
      mmd_weights: weight of MMD^2(q(z_l), N(0, I)): one number for all layers, or one a layer.
      joint_mmd_weight: weight of the MMD^2 of all layers joined, the only term that sees
        dependence between layers.
      kl_weights: weight of KL(q(z_l|x), N(0, I)) in nats: one number for all, or one a layer.
      info_vae_alpha, info_vae_lambda: given together they replace the weights above by InfoVAE's
        (Zhao, Song and Ermon 2017): KL weight 1 - alpha, MMD weight alpha + lambda - 1, no joint
        MMD, and the reconstruction in units of an ELBO.
      kernel: "gaussian", "multiscale_gaussian" or "inverse_multiquadratic".
      kernel_scales: the kernel's bandwidths in units of the layer's dimension d: a Gaussian has
        sigma^2 = d * scale; an inverse multiquadratic has C = 2 * d * scale. Averaged over scales.
        None is the kernel's own in `DEFAULT_SCALES`.
      estimator: of the MMD^2: "unbiased" (U-statistic) or "biased" (V-statistic), O(n^2) for a
        batch of n, in blocks of linear memory where n is large; "random_features", O(n) and nearly
        as certain; "linear_time" (disjoint pairs of rows, which must be in random order), O(n), the
        fastest and by far the noisiest; or "auto", which is "unbiased" up to 4,096 rows and, where
        the prior is in closed form, "random_features" above.
      random_features: frequencies of that estimator, drawn anew each step, at least 1; rounded up
        to a multiple of the kernel's scales, which share them evenly.
      prior: "closed_form" (expectations under N(0, I) in closed form: Gaussian kernels, or any
        kernel with random features) or "sampled" (as many draws from the prior as there are codes;
        not with random features).
    """

    image_shape: tuple[int, ...] = (64, 64, 3)
    latent_dims: tuple[int, ...] = (10, 10, 10, 10)
    blocks: tuple[tuple[str, ...], ...] = (
        ("conv24/2",),
        ("conv48/2",),
        ("conv96/2",),
        ("conv192/2",),
    )
    shared_trunk: bool = True
    head_width: int = 64
    merge: str = "gated_add"
    normalization: str = "batch"
    deviation_floor: float = 0.08
    nested_dropout: float = 0.0
    reconstruction: str = "l1"
    reconstruction_weight: float | None = 100.0
    mmd_weights: float | tuple[float, ...] = 100.0
    joint_mmd_weight: float = 100.0
    kl_weights: float | tuple[float, ...] = 0.0
    info_vae_alpha: float | None = None
    info_vae_lambda: float | None = None
    kernel: str = "multiscale_gaussian"
    kernel_scales: tuple[float, ...] | None = None
    estimator: str = "auto"
    random_features: int = 1024
    prior: str = "closed_form"

    def __post_init__(self):
        if (
            len(self.image_shape) != 3
            or min(self.image_shape) < 1
            or self.image_shape[2] not in (1, 3)
        ):
            raise InputError(
                f"model.image_shape is {self.image_shape}; it must be height, "
                "width and 1 or 3 channels."
            )
        if not self.latent_dims or min(self.latent_dims) < 1:
            raise InputError(
                f"model.latent_dims is {self.latent_dims}; it must name at least one layer, "
                "each of one dimension or more."
            )
        if len(self.latent_dims) > len(self.blocks):
            raise InputError(
                f"model.latent_dims has {len(self.latent_dims)} layers but model.blocks only "
                f"{len(self.blocks)} blocks; each layer needs a block of its own."
            )
        _choice("model.merge", self.merge, MERGES)
        _choice("model.normalization", self.normalization, NORMALIZATIONS)
        _choice("model.reconstruction", self.reconstruction, RECONSTRUCTIONS)
        _choice("model.kernel", self.kernel, KERNELS)
        _choice("model.estimator", self.estimator, ESTIMATORS)
        _choice("model.prior", self.prior, PRIORS)
        _at_least("model.deviation_floor", self.deviation_floor, 0)
        if not 0 <= self.nested_dropout < 1:
            raise InputError(
                f"model.nested_dropout is {self.nested_dropout}; it must be from 0 to below 1."
            )
        _at_least("model.head_width", self.head_width, 0)
        _at_least("model.random_features", self.random_features, 1)
        _at_least("model.joint_mmd_weight", self.joint_mmd_weight, 0)
        if self.reconstruction_weight is not None:
            _at_least("model.reconstruction_weight", self.reconstruction_weight, 0)
        if min(self.scales, default=0) <= 0:
            raise InputError(f"model.kernel_scales is {self.scales}; scales must be above 0.")
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
            raise InputError(
                "model.info_vae_alpha and model.info_vae_lambda must be given together."
            )
        for name, weights in (
            ("mmd_weights", self.layer_mmd_weights),
            ("kl_weights", self.layer_kl_weights),
        ):
            if len(weights) != len(self.latent_dims):
                raise InputError(
                    f"model.{name} has {len(weights)} numbers for {len(self.latent_dims)} "
                    "latent layers; give one number, or one a layer."
                )
            if min(weights) < 0:
                raise InputError(f"model.{name} comes to {weights}; a weight must not be below 0.")

        self.feature_shapes()

    def feature_shapes(self):
        """Shapes of the features (no batch) before and after each operation, block by block.

        Returns:
          A list of tuples: for a block of k operations its k + 1 shapes, the input's first.

        Raises:
          InputError: if a stride does not divide the image, or a convolution follows a dense layer.
        """
        shape = tuple(self.image_shape)
        shapes = []
        for block in self.blocks:
            if not block:
                raise InputError("model.blocks holds an empty block; give it an operation.")
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
                        f"(image_shape {self.image_shape}); choose an image size that all "
                        "strides divide."
                    )
                else:
                    shape = (shape[0] // stride, shape[1] // stride, size)
                path.append(shape)
            shapes.append(tuple(path))
        return shapes

    @property
    def scales(self):
        """The kernel's scales: as given, or the kernel's own."""
        return DEFAULT_SCALES[self.kernel] if self.kernel_scales is None else self.kernel_scales

    @property
    def frequencies(self):
        """How many frequencies random features take: a multiple of the number of scales."""
        return math.ceil(self.random_features / len(self.scales)) * len(self.scales)

    @property
    def effective_reconstruction_weight(self):
        """The weight of the mean reconstruction: as given, or height * width * channels.

        It is the latter for InfoVAE, whose weights are in units of the ELBO.
        """
        if self.reconstruction_weight is None or self.info_vae_alpha is not None:
            return float(math.prod(self.image_shape))
        return self.reconstruction_weight

    @property
    def effective_joint_mmd_weight(self):
        """The weight of the joint MMD^2: as given, but 0 for InfoVAE and where one layer is all."""
        if self.info_vae_alpha is not None or len(self.latent_dims) == 1:
            return 0.0
        return self.joint_mmd_weight

    def _per_layer(self, weights):
        if isinstance(weights, tuple):
            return weights
        return (float(weights),) * len(self.latent_dims)

    @property
    def layer_mmd_weights(self):
        """The weight of each layer's MMD^2, lowest layer first."""
        if self.info_vae_alpha is None:
            return self._per_layer(self.mmd_weights)
        return self._per_layer(self.info_vae_alpha + self.info_vae_lambda - 1.0)

    @property
    def layer_kl_weights(self):
        """The weight of each layer's KL divergence, lowest layer first."""
        if self.info_vae_alpha is None:
            return self._per_layer(self.kl_weights)
        return self._per_layer(1.0 - self.info_vae_alpha)


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """Which images, and how they reach the model.

    Attributes:
      dataset: a TFDS name, "synthetic_faces" or "image_folder".
      data_dir: the root of the TFDS data sets; None is TFDS's own default.
      train_split, test_split: TFDS split expressions, slices included ("train[:50000]"). For
        "image_folder" the splits are "train" and "test".
      image_dir: the folder of "image_folder", read at any depth.
      labels: a CSV file for "image_folder": file name, then a column an attribute; None takes the
        first level of sub-folders as classes.
      test_fraction: share of an image folder that becomes its test split, in (0, 1).
      crop: side of the centre square that is kept, as a fraction of the shorter edge, in (0, 1].
      flip: True mirrors half of the training images, left to right.
      cache: where the decoded, resized uint8 images are kept: "memory", "disk", "none" (which takes
        them in another order), or "auto", which chooses between the first two by size.
    """

    dataset: str = "synthetic_faces"
    data_dir: str | None = None
    train_split: str = "train"
    test_split: str = "test"
    image_dir: str | None = None
    labels: str | None = None
    test_fraction: float = 0.1
    crop: float = 1.0
    flip: bool = False
    cache: str = "auto"

    def __post_init__(self):
        _choice("data.cache", self.cache, CACHES)
        if not 0 < self.crop <= 1:
            raise InputError(f"data.crop is {self.crop}; it must lie in (0, 1].")
        if not 0 < self.test_fraction < 1:
            raise InputError(f"data.test_fraction is {self.test_fraction}; it must lie in (0, 1).")


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """How long, how fast, and in what order the latent layers are learned.

    Attributes:
      steps: optimizer steps in all.
      batch_size: images a step.
      learning_rate: Adam's, held until `decay_start` and then falling to zero along a half cosine.
      decay_start: where the fall begins, as a fraction of `steps`; 1 never.
      seed: of the weights, the data's order and all noise.
      progressive: True trains the highest layer first and fades the lower ones in, in turn.
      first_stage: length of the highest layer's time alone, as a fraction of `steps`.
      stage: the same for each further layer before the next one starts.
      fade: how long a layer takes to fade in, as a fraction of `stage`.
      init_from: the workdir of a finished run whose weights this one starts from; its layers are
        trained already, so that none is faded in.
      log_every: steps between lines in the logs.
      checkpoint_every: steps between checkpoints.
      keep_checkpoints: how many of the newest checkpoints stay; at least 2, so that one stays whole
        while another is written.
      precision: "float32", or what blocks compute in while weights and losses stay float32:
        "mixed_bfloat16" (processors and GPUs that have it), "mixed_float16" (GPUs, one at a
        time). The finished model computes in float32 whatever it was trained in.
      xla: whether the step is compiled by XLA: "on", "off", or "auto", which compiles it on a GPU.
      steps_per_execution: steps between two returns to Python, a divisor of `steps`; logs and
        checkpoints wait for such a return.
      distribute: "none", "mirrored" (over all devices of this machine) or "multi_worker" (over the
        machines that the environment variable TF_CONFIG names). `batch_size` stays that of all
        devices together, and so do the results, but for rounding.
      on_divergence: what follows a loss that is not finite or runs away: "stop", or "rollback",
        which goes on from the last good checkpoint with half the learning rate, at most three
        times.
    """

    steps: int = 5000
    batch_size: int = 64
    learning_rate: float = 1e-3
    decay_start: float = 0.6
    seed: int = 0
    progressive: bool = True
    first_stage: float = 0.35
    stage: float = 0.15
    fade: float = 0.5
    init_from: str | None = None
    log_every: int = 100
    checkpoint_every: int = 500
    keep_checkpoints: int = 2
    precision: str = "float32"
    xla: str = "auto"
    steps_per_execution: int = 1
    distribute: str = "none"
    on_divergence: str = "stop"

    def __post_init__(self):
        _choice("train.precision", self.precision, PRECISIONS)
        _choice("train.xla", self.xla, XLA)
        _choice("train.on_divergence", self.on_divergence, ON_DIVERGENCE)
        _choice("train.distribute", self.distribute, DISTRIBUTIONS)
        if self.distribute != "none" and self.steps_per_execution > 1:
            raise InputError(
                f"train.steps_per_execution is {self.steps_per_execution}, but with "
                f"train.distribute={self.distribute} TensorFlow takes one step at a time; leave "
                "one of them out."
            )
        if self.distribute != "none" and self.xla == "on":
            raise InputError(
                f"train.xla is 'on', but TensorFlow can't compile a step with train.distribute="
                f"{self.distribute}; leave one of them out."
            )
        if self.distribute != "none" and self.precision == "mixed_float16":
            # Keras looks for an overflow in one device's gradients before they are summed.
            raise InputError(
                f"train.precision is 'mixed_float16', but with train.distribute={self.distribute} "
                "an overflow on one device would spoil the weights; give mixed_bfloat16."
            )
        for name, low in (
            ("steps", 1),
            ("batch_size", 2),
            ("log_every", 1),
            ("checkpoint_every", 1),
            ("keep_checkpoints", 2),
            ("steps_per_execution", 1),
            ("seed", 0),
        ):
            _at_least(f"train.{name}", getattr(self, name), low)
        if self.steps % self.steps_per_execution:
            raise InputError(
                f"train.steps_per_execution is {self.steps_per_execution}, which does not divide "
                f"the {self.steps} steps; give one that does."
            )
        if self.seed >= 2**32:
            raise InputError(f"train.seed is {self.seed}; it must be below 2**32.")
        if not self.learning_rate > 0:
            raise InputError(f"train.learning_rate is {self.learning_rate}; it must be above 0.")
        for name in ("decay_start", "first_stage", "stage", "fade"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"train.{name} is {getattr(self, name)}; it must lie in [0, 1].")

    def fade_in(self, layers):
        """When each of `layers` latent layers fades in: (start, end) steps, lowest layer first.

        After proVLAE (Li et al. 2020, arXiv 2002.10549): the highest layer is there from step 0.
        None when training is not progressive.

        Raises:
          InputError: if the stages leave the lowest layer no step of its own.
        """
        if not self.progressive or self.init_from:
            return None
        starts = [0] + [
            round(self.steps * (self.first_stage + self.stage * index))
            for index in range(layers - 1)
        ]
        length = round(self.steps * self.stage * self.fade)
        if starts[-1] + length >= self.steps and layers > 1:
            raise InputError(
                f"train.first_stage={self.first_stage} and train.stage={self.stage} leave layer "
                f"1 no step of its own with {layers} layers; shorten the stages or set "
                "--config.train.progressive=false."
            )
        return tuple((start, start + length if start else 0) for start in reversed(starts))


@dataclasses.dataclass(frozen=True)
class Config:
    """All settings of a run: `model`, `data` and `train`."""

    model: ModelConfig = ModelConfig()
    data: DataConfig = DataConfig()
    train: TrainConfig = TrainConfig()

    def changed(self, **sections: dict[str, object]) -> "Config":
        """A copy in which some fields have other values.

        Args:
          **sections: `model`, `data` or `train`, each a dict of field names and new values, as in
            `config.changed(train={"steps": 3}, data={"cache": "none"})`.

        Raises:
          InputError: if the new values do not fit.
        """
        parts = {
            name: dataclasses.replace(getattr(self, name), **fields)
            for name, fields in sections.items()
        }
        return dataclasses.replace(self, **parts)

    def to_dict(self):
        """The settings as nested dicts that JSON can hold."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values):
        """The inverse of `to_dict`, also after a trip through JSON.

        Raises:
          InputError: for a key that is not known; the message lists the known ones.
        """
        return from_dict(cls, values)


def from_dict(cls, values, path="config"):
    """Builds a config dataclass from (nested) dicts and lists.

    Args:
      cls: `Config`, `ModelConfig`, `DataConfig` or `TrainConfig`.
      values: a dict of fields; lists become tuples.
      path: where `values` stands, for messages.

    Returns:
      An instance of `cls`.

    Raises:
      InputError: for a key that is not a field, or a value of the wrong type.
    """
    return cls(**_fields(cls, values, path))


def _fields(cls, values, path):
    hints = typing.get_type_hints(cls)
    if not isinstance(values, dict):
        raise InputError(f"{path} is {values!r:.40}; it must hold {', '.join(hints)} by name.")
    known = {}
    for key, value in values.items():
        if key not in hints:
            raise InputError(f"{path}.{key} is not known. Known: {', '.join(hints)}.")
        if dataclasses.is_dataclass(hints[key]):
            known[key] = from_dict(hints[key], value, f"{path}.{key}")
        else:
            known[key] = _coerce(value, hints[key], f"{path}.{key}")
    return known


def override(config, changes):
    """Returns `config` with fields replaced by what a person typed.

    Args:
      config: a `Config`.
      changes: pairs of a field's dotted path, such as "train.learning_rate", and its value as text:
        a number, true or false, None, words, or numbers with commas between them. They are applied
        together, so that fields which fit only each other can be changed at once.

    Raises:
      InputError: if a path is not known (the message lists the known ones) or a value does not
        fit.
    """
    values = config.to_dict()
    for section, fields in _by_section(changes).items():
        values[section] |= fields
    return Config.from_dict(values)


def check_changes(changes):
    """Refuses what `override` would refuse for every config, when there is none yet.

    Args:
      changes: as for `override`.

    Raises:
      InputError: if a path is not known or a value does not fit.
    """
    for section, fields in _by_section(changes).items():
        cls = typing.get_type_hints(Config)[section]
        known = _fields(cls, fields, f"config.{section}")
        # The model's fields fit each other and the images, or do not.
        if cls is not ModelConfig:
            cls(**known)


def _by_section(changes):
    sections = typing.get_type_hints(Config)
    values = {section: {} for section in sections}
    for path, text in changes:
        section, _, field = path.partition(".")
        if section not in sections or not field:
            every = [f"{s}.{f.name}" for s in sections for f in dataclasses.fields(sections[s])]
            raise InputError(f"--config.{path} is not known. Known: {', '.join(every)}.")
        values[section][field] = _literal(text)
    return values


def _literal(text):
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        return ast.literal_eval(text)
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        return text


_IN_WORDS = {
    int: "a whole number",
    float: "a finite number",
    str: "text",
    bool: "true or false",
    types.NoneType: "None",
    tuple[int, ...]: "whole numbers with commas between them",
    tuple[float, ...]: "numbers with commas between them",
    tuple[tuple[str, ...], ...]: "a tuple of tuples of operations",
}


def _coerce(value, hint, path):
    options = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    for option in options:
        try:
            return _coerce_to(value, option)
        except (TypeError, ValueError, OverflowError):
            continue
    wanted = " or ".join(_IN_WORDS[option] for option in options)
    raise InputError(f"{path} is {value!r:.200}; it must be {wanted}.")


def _coerce_to(value, hint):
    if typing.get_origin(hint) is tuple:
        if not isinstance(value, (list, tuple)):
            value = (value,)
            if typing.get_origin(typing.get_args(hint)[0]) is tuple:
                raise TypeError
        return tuple(_coerce_to(item, typing.get_args(hint)[0]) for item in value)
    if hint is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        number = float(value)
        if not math.isfinite(number):
            raise ValueError
        return number
    if hint is types.NoneType and value is None:
        return None
    if hint in (int, str, bool) and type(value) is hint:
        return value
    raise TypeError

"""What a trained model is measured and pictured by at the end of its run."""

import numpy as np

from tf_mmdvlae import figures, latents, mmd
from tf_mmdvlae.data import pipeline
from tf_mmdvlae.evaluation.prior_match import prior_match
from tf_mmdvlae.evaluation.probes import probe_layers
from tf_mmdvlae.evaluation.reconstruction import reconstruction_errors
from tf_mmdvlae.progress import Progress

# The nearest-neighbour probe looks at no more than this many, and a thousand images are plenty to
# see which dimensions of a layer are active.
_PROBE_IMAGES = 20_000
_FIGURE_IMAGES = 1_000
_BATCH = 256


def measure(functions, config, train_split, test_split):
    """The numbers of `metrics.json`.

    Args:
      functions: (encode, decode) on NumPy arrays; see `callables.numpy_functions`.
      config: the run's `Config`.
      train_split, test_split: `pipeline.Split`s.

    Returns:
      {"test": {"l1", "mse", "mmd_1" ... "mmd_L", "mmd_joint"}, "probes": {label: {layer: ...}},
      "test_images", "train_images", "skipped_images"}. L1 and MSE are of reconstructions from
      posterior means over the whole test split; MMD^2 is of posterior samples in batches of the
      training batch's size.
    """
    encode, decode = functions
    encoded = []

    def reconstruct(images):
        encoded.append(encode(images))
        return decode(encoded[-1][0])

    test = reconstruction_errors(reconstruct, _batches(test_split, test_split.size))
    means, deviations = (latents.concatenate(parts) for parts in zip(*encoded, strict=True))
    test |= prior_match(
        means,
        deviations,
        _mmd_squared(config.model, config.train.seed),
        config.train.batch_size,
        config.train.seed,
    )
    return {
        "test": test,
        "probes": _probe(encode, train_split, test_split, means),
        "test_images": test_split.size,
        "train_images": train_split.size,
        "skipped_images": train_split.skipped + test_split.skipped,
    }


def draw(functions, config, workdir, split):
    """Draws every figure of a run into its workdir.

    Args:
      functions: (encode, decode) on NumPy arrays.
      config: the run's `Config`.
      workdir: the run's `Workdir`.
      split: the test `pipeline.Split`.

    Returns:
      The paths of the pictures.
    """
    history = workdir.read_history()
    names = dict.fromkeys(name for record in history for name in record)
    columns = {name: [record.get(name) for record in history] for name in names}
    images = np.concatenate(list(_batches(split, min(_FIGURE_IMAGES, split.size))))
    fade_in = config.train.fade_in(len(config.model.latent_dims))
    return figures.draw_all(
        workdir.figures, *functions, images, columns or None, fade_in, config.train.seed
    )


def _batches(split, count):
    progress, seen = Progress(count, f"{split.name} images encoded"), 0
    for batch in pipeline.evaluation_batches(split, _BATCH):
        images = np.asarray(batch)[: count - seen]
        yield images
        seen += len(images)
        progress.update(seen)
        if seen >= count:
            break
    progress.close()


def _mmd_squared(model, seed):
    generator = np.random.default_rng([seed, 1])

    def mmd_squared(codes):
        kernel = mmd.kernel_for_dimension(model.kernel, model.scales, codes.shape[1])
        if model.prior == "closed_form":
            return mmd.mmd_squared_to_normal(codes, kernel, model.estimator)
        prior = generator.standard_normal(codes.shape, np.float32)
        return mmd.mmd_squared(codes, prior, kernel, model.estimator)

    return mmd_squared


def _probe(encode, train_split, test_split, test_means):
    if not train_split.labels:
        return {}
    count = min(_PROBE_IMAGES, train_split.size)
    train_means = latents.concatenate([encode(b)[0] for b in _batches(train_split, count)])
    labels = {name: values[:count] for name, values in train_split.labels.items()}
    return probe_layers(train_means, labels, test_means, test_split.labels)

"""What a trained model is measured and pictured by at the end of its run."""

import numpy as np

from tf_mmdvlae.common.progress import Progress
from tf_mmdvlae.data import pipeline
from tf_mmdvlae.figures import run
from tf_mmdvlae.metrics.prior_distance import prior_match
from tf_mmdvlae.metrics.probes import probe_layers
from tf_mmdvlae.metrics.reconstruction import reconstruction_errors
from tf_mmdvlae.model import latents
from tf_mmdvlae.model.directions import find_directions
from tf_mmdvlae.model.functions import mmd_to_prior
from tf_mmdvlae.model.samplers import fit_samplers

# The nearest-neighbour probe and the mixtures look at no more than this many, and they are plenty
# for directions; a thousand images are plenty to see which dimensions of a layer are active.
_TRAIN_IMAGES = 20_000
_FIGURE_IMAGES = 1_000
_BATCH = 256


def measure(functions, config, train_split, test_split):
    """The numbers of `metrics.json`, where the labels' features lie in the codes, and samplers.

    Args:
      functions: (encode, decode) on NumPy arrays; see `callables.numpy_functions`.
      config: the run's `Config`.
      train_split, test_split: `pipeline.Split`s.

    Returns:
      The numbers: {"test": {"l1", "mse", "mmd_1" ... "mmd_L", "mmd_joint"}, "probes":
      {label: {layer: ...}}, "test_images", "train_images", "skipped_images"}. L1 and MSE are of
      reconstructions from posterior means over the whole test split; MMD^2 is of posterior samples
      in batches of the training batch's size. Then the `Directions` of the labels, None without
      labels, and the `Samplers`. Probes, directions and samplers are fitted to the codes of the
      first 20,000 training images, or of all where there are fewer.
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
        mmd_to_prior(config.model, config.train.seed),
        config.train.batch_size,
        config.train.seed,
    )
    probes, directions = {}, None
    count = min(_TRAIN_IMAGES, train_split.size)
    batches = _batches(train_split, count)
    train_means, train_deviations = (
        latents.concatenate(parts)
        for parts in zip(*[encode(batch) for batch in batches], strict=True)
    )
    if train_split.labels:
        labels = {name: values[:count] for name, values in train_split.labels.items()}
        probes = probe_layers(train_means, labels, means, test_split.labels)
        directions = find_directions(train_means, labels, train_split.class_names)
    numbers = {
        "test": test,
        "probes": probes,
        "test_images": test_split.size,
        "train_images": train_split.size,
        "skipped_images": train_split.skipped + test_split.skipped,
    }
    print("Fitting mixtures to the codes ...", flush=True)
    codes = latents.posterior_samples(train_means, train_deviations, config.train.seed)
    return numbers, directions, fit_samplers(codes, seed=config.train.seed)


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
    return run.draw_all(
        workdir.figures, *functions, images, columns or None, fade_in, config.train.seed
    )


def _batches(split, count):
    progress, seen = Progress(count, f"{split.name} images read"), 0
    for batch in pipeline.evaluation_batches(split, _BATCH):
        images = np.asarray(batch)[: count - seen]
        yield images
        seen += len(images)
        progress.update(seen)
        if seen >= count:
            break
    progress.close()

"""Trains a small classifier on a data set's labels, for the evaluation of models.

  bin/train_classifier --dataset=mnist           or synthetic_faces, celeb_a, any labelled TFDS set
  bin/train_classifier --dataset=image_folder --image_dir=DIR

bin/evaluate --features=<its folder> compares samples with real images in the classifier's last
hidden layer, and reads off its outputs what an edit changed.
"""

from tf_mmdvlae.cli import command
from tf_mmdvlae.cli.command import DATA_FLAGS, DATASET, SIZE_FLAGS, Command, Flag, place

FLAGS = {
    "dataset": DATASET,
    "out": Flag(
        place,
        "folder of the classifier [default: classifiers/<dataset>; for a folder its name follows]",
    ),
    **DATA_FLAGS,
    **SIZE_FLAGS,
    "steps": Flag(int, "training steps", 2000),
    "batch_size": Flag(int, "images per step", 64),
    "seed": Flag(int, "seed of weights, data order and mirroring", 0),
    "overwrite": Flag(bool, "replace the classifier in --out"),
}


def _run(flags):
    if flags.dataset == "image_folder":
        flags.data_dir = None
    train = {name: getattr(flags, name) for name in ("steps", "batch_size", "seed")}
    config = command.settings_for(flags, "default", {"train": train})
    name = command.data_name(flags)
    out = flags.out or f"classifiers/{name}"
    shape = config.model.image_shape
    # Here, because it imports TensorFlow.
    from tf_mmdvlae.evaluation.classifier import train_classifier

    details = train_classifier(
        config.data, shape, out, flags.steps, flags.batch_size, flags.seed, flags.overwrite
    )
    _print_details(details, out, name)


def _print_details(details, out, name):
    print(f"\nTest split ({details['test_images']:,} images):")
    for title, label in details["labels"].items():
        test = label["test"]
        estimate = f"{test['value']:.4f} +- {test['standard_error']:.1g}"
        print(f"  {title:<24}{test['measure']:<10}{test.get('note', estimate)}")
    print(f"\nClassifier:  {out}")
    print(f"Next:        bin/evaluate --workdir=runs/{name} --features={out}")


main = Command("train_classifier", __doc__, FLAGS, _run)

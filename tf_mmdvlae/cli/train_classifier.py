"""bin/train_classifier: trains a classifier whose features samples are compared in."""

import os

from absl import flags

from tf_mmdvlae.cli.command import bars_on_terminals_only, run

_ABOUT = """trains a small classifier on a data set's labels, to evaluate models with.

  bin/train_classifier --dataset=mnist           or synthetic_faces, celeb_a, any labelled TFDS set
  bin/train_classifier --dataset=image_folder --image_dir=DIR

Its last hidden layer is a feature space in which samples are compared with real images, and its
outputs say what an edit changed: give its folder to bin/evaluate --features."""


def _define(values):
    def text(name, about):
        flags.DEFINE_string(name, None, about, flag_values=values)

    text("dataset", "data set: a TFDS name, synthetic_faces or image_folder")
    text("out", "folder of the classifier [default: classifiers/<dataset>]")
    text("data_dir", "root of the TFDS data sets [default: TFDS's own, ~/tensorflow_datasets]")
    text("image_dir", "folder of JPEG and PNG pictures, for --dataset=image_folder")
    text("labels", "CSV file of an image folder: file name, then a column an attribute")
    flags.DEFINE_integer("steps", 2000, "training steps", flag_values=values)
    flags.DEFINE_integer("batch_size", 64, "images a step", flag_values=values)
    flags.DEFINE_integer("seed", 0, "of weights, data order and mirroring", flag_values=values)
    flags.DEFINE_bool("overwrite", False, "replace the classifier in --out", flag_values=values)


def _call(values):
    import dataclasses

    from tf_mmdvlae.common.errors import InputError
    from tf_mmdvlae.config import get_config, known_datasets
    from tf_mmdvlae.config.settings import DataConfig

    if not values.dataset:
        raise InputError(
            f"Give --dataset: one of {', '.join(known_datasets())}, or another TFDS image set."
        )
    places = {
        name: os.path.abspath(os.path.expanduser(values[name].value))
        for name in ("data_dir", "image_dir", "labels")
        if values[name].value
    }
    if values.dataset == "image_folder":
        places.pop("data_dir", None)
    else:
        bars_on_terminals_only()
        for name in ("image_dir", "labels"):
            if name in places:
                raise InputError(
                    f"--{name} needs --dataset=image_folder, but --dataset is {values.dataset}."
                )

    def describe():
        from tf_mmdvlae.data import pipeline

        return pipeline.describe(DataConfig(dataset=values.dataset, **places))

    config = get_config(values.dataset, describe=describe)
    from tf_mmdvlae.evaluation.classifier import train_classifier

    out = values.out or f"classifiers/{values.dataset}"
    data = dataclasses.replace(config.data, **places)
    details = train_classifier(
        data,
        config.model.image_shape,
        out,
        values.steps,
        values.batch_size,
        values.seed,
        values.overwrite,
    )
    _print_details(details, out, values.dataset)


def _print_details(details, out, dataset):
    print(f"\nTest split ({details['test_images']:,} images):")
    for name, label in details["labels"].items():
        test = label["test"]
        said = f"{test['value']:.4f} +- {test['standard_error']:.1g}"
        print(f"  {name:<24}{test['measure']:<10}{test.get('note', said)}")
    print(f"\nClassifier:  {out}")
    print(f"Next:        bin/evaluate --workdir=runs/{dataset} --features={out}")


def main():
    """Runs the command; returns its exit code."""
    return run("train_classifier", _ABOUT, _define, _call)

"""A comparison: the model beside its relatives, each trained and measured alike."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.common.files import read_json, replacing, require_folder, write_json
from tf_mmdvlae.common.progress import duration
from tf_mmdvlae.common.provenance import provenance
from tf_mmdvlae.config import presets_of
from tf_mmdvlae.config.relatives import RELATIVES, relative
from tf_mmdvlae.config.settings import Config
from tf_mmdvlae.evaluation.evaluate import evaluate, load_judge, run_subject
from tf_mmdvlae.evaluation.families import family, summary
from tf_mmdvlae.evaluation.features import feature_space
from tf_mmdvlae.evaluation.report.comparison import comparison_page, markdown_table
from tf_mmdvlae.training.train import train
from tf_mmdvlae.training.workdir import Workdir

PAPER = "paper"
MODELS = (*RELATIVES, PAPER)


def compare(
    config: Config,
    workdir: pathlib.Path | str,
    models: Sequence[str] = tuple(RELATIVES),
    seeds: int = 1,
    metrics: Sequence[str] | None = None,
    features: str = "pixels",
    judge: pathlib.Path | str | None = None,
) -> dict[str, Any]:
    """Trains and measures models alike, and writes one table and one page of figures.

    A run that is finished is not trained again, and an evaluation with the same settings is not
    repeated, so that a comparison that was stopped goes on where it was.

    Args:
      config: of the ladder; all models share its data, steps, batch size and networks.
      workdir: the folder of the comparison; each run has a folder `<model>/seed_<k>` there.
      models: names from `MODELS`. "paper" is the data set's preset of that name, another network,
        with the steps and batch size of `config`.
      seeds: how many runs of each model, with seeds 0, 1, ...
      metrics, features, judge: as in `evaluate.evaluate`.

    Returns:
      The contents of `comparison.json`: its settings, and the `entry` of each of the "models".

    Raises:
      InputError: for unknown models, or what training and evaluation raise.
    """
    if unknown := ", ".join(name for name in models if name not in MODELS):
        raise InputError(f"These models are not known: {unknown}. Known: {', '.join(MODELS)}.")
    # All that can be checked is, before the first hour of training.
    configs = {name: _config(config, name) for name in models}
    for one in configs.values():
        feature_space(features, one.model.image_shape)
        if judge is not None:
            load_judge(judge, one.model.image_shape)
    for name in metrics or ():
        family(name)
    workdir = require_folder(workdir)
    entries = {}
    total = len(models) * seeds
    for index, name in enumerate(models):
        evaluations = []
        for seed in range(seeds):
            position = index * seeds + seed + 1
            print(f"\n== {name}, seed {seed} ({position} of {total}) ==", flush=True)
            run = configs[name].changed(train={"seed": seed})
            folder = workdir / name / f"seed_{seed}"
            evaluations.append(_evaluation(run, folder, metrics, features, judge))
        entries[name] = entry(name, evaluations, configs[name])
    comparison = {
        "dataset": config.data.dataset,
        "steps": config.train.steps,
        "batch_size": config.train.batch_size,
        "seeds": seeds,
        "features": features,
        "models": entries,
        **provenance(),
    }
    write_json(workdir / "comparison.json", comparison)
    with replacing(workdir / "comparison.md") as temporary:
        temporary.write_text(markdown_table(comparison))
    with replacing(workdir / "comparison.html") as temporary:
        temporary.write_text(comparison_page(comparison, _pictures(workdir, models)))
    return comparison


def entry(name: str, evaluations: Sequence[dict[str, Any]], config: Config) -> dict[str, Any]:
    """A model's part of `comparison.json`, from the contents of `evaluation.json` of each seed.

    Each of the "rows" is a key number: the "count" is that of seeds, the "deviation" is between
    seeds (NaN for one), and the standard error is the first seed's.
    """
    numbers: dict[str, list[Any]] = {}
    for evaluation in evaluations:
        for number in summary(evaluation):
            numbers.setdefault(number.key, []).append(number)
    rows = {}
    for key, row in numbers.items():
        values = np.array([number.value for number in row])
        rows[key] = {
            "title": row[0].title,
            "best": row[0].best,
            "mean": float(values.mean()),
            "deviation": float(values.std(ddof=1)) if len(values) > 1 else float("nan"),
            "standard_error": float(row[0].error),
            "count": len(values),
        }
    return {
        "what": RELATIVES.get(name, "the published network and settings (another network)"),
        "latent_dims": list(config.model.latent_dims),
        "runs": [evaluation["subject"] for evaluation in evaluations],
        "rows": rows,
    }


def _config(config, name):
    if name != PAPER:
        return relative(config, name)
    presets = presets_of(config.data.dataset)
    if PAPER not in presets:
        raise InputError(
            f"{config.data.dataset} has no preset {PAPER!r}; remove {PAPER} from --models."
        )
    shared = {name: getattr(config.train, name) for name in ("steps", "batch_size")}
    return presets[PAPER].changed(data=vars(config.data), train=shared)


def _evaluation(config, folder, metrics, features, judge):
    train(config, folder, folder / "export")
    settings = {"features": features, "judge": judge, "metrics": sorted(metrics or ())}
    # `bin/evaluate --workdir` on the same run writes its own beside the run.
    out = folder / "comparison"
    settings_file, file = out / "settings.json", out / "evaluation.json"
    advice = f"Remove {out} to measure the run again."
    if file.exists() and settings_file.exists() and read_json(settings_file, advice) == settings:
        return read_json(file, advice)
    subject, seed = run_subject(folder), config.train.seed
    evaluation = evaluate(subject, out, metrics, features, judge, seed, report=False)
    write_json(settings_file, settings)
    print(f"    measured in {duration(sum(evaluation['seconds'].values()))}", flush=True)
    return evaluation


def _pictures(workdir, models):
    """Model -> name -> file, of each model's first seed: the pictures that a comparison shows."""
    pictures = {}
    for model in models:
        folder = Workdir(workdir / model / "seed_0").figures
        paths = [folder / f"{name}.png" for name in ("samples", "reconstructions", "layers")]
        pictures[model] = {path.stem: path for path in paths if path.exists()}
    return pictures

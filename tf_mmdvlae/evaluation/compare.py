"""A comparison: the model beside its relatives, each trained and measured alike."""

import dataclasses
import json
import pathlib

import numpy as np

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.common.files import make_folder, replacing, write_json
from tf_mmdvlae.common.progress import duration
from tf_mmdvlae.common.provenance import provenance
from tf_mmdvlae.config import presets_of
from tf_mmdvlae.config.relatives import RELATIVES, relative
from tf_mmdvlae.evaluation import evaluate
from tf_mmdvlae.evaluation.report.comparison import comparison_page, markdown_table
from tf_mmdvlae.evaluation.report.summary import summary
from tf_mmdvlae.training.train import train
from tf_mmdvlae.training.workdir import Workdir

PAPER = "paper"
MODELS = (*RELATIVES, PAPER)


def compare(
    config, workdir, models=tuple(RELATIVES), seeds=1, metrics=None, features="pixels", judge=None
):
    """Trains and measures models alike, and writes one table and one page of figures.

    A run that is finished is not trained again, and an evaluation with the same settings is not
    made again, so that a comparison that was stopped goes on where it was.

    Args:
      config: the `Config` of the ladder; its data, steps, batch and networks are everyone's.
      workdir: the folder of the comparison; each run has a folder `<model>/seed_<k>` there.
      models: of `MODELS`. "paper" is the data set's preset of that name, another network, with the
        steps of `config` all the same.
      seeds: how many runs of each model, with seeds 0, 1, ...
      metrics, features, judge: as in `evaluating.evaluate`.

    Returns:
      The contents of `comparison.json`: {"dataset", "steps", "batch_size", "seeds", "features",
      "models": {name: {"what", "latent_dims", "runs", "rows": {key: {"title", "best", "mean",
      "deviation", "standard_error", "count"}}}}, "versions", "commit"}. "count" is that of the
      seeds, a deviation that between them (NaN for one); the standard error is the first seed's.

    Raises:
      InputError: for unknown models, or what training and evaluation raise.
    """
    if unknown := [name for name in models if name not in MODELS]:
        raise InputError(
            f"These models are not known: {', '.join(unknown)}. Known: {', '.join(MODELS)}."
        )
    workdir = pathlib.Path(workdir)
    make_folder(workdir)
    # Settings that can't be had are found before the first hour of training, not after it.
    configs = {name: _config(config, name) for name in models}
    found = {}
    total = len(models) * seeds
    for index, name in enumerate(models):
        runs = []
        for seed in range(seeds):
            print(
                f"\n== {name}, seed {seed} ({index * seeds + seed + 1} of {total}) ==", flush=True
            )
            run = dataclasses.replace(
                configs[name], train=dataclasses.replace(configs[name].train, seed=seed)
            )
            runs.append(_measured(run, workdir / name / f"seed_{seed}", metrics, features, judge))
        found[name] = entry(name, runs, configs[name])
    comparison = {
        "dataset": config.data.dataset,
        "steps": config.train.steps,
        "batch_size": config.train.batch_size,
        "seeds": seeds,
        "features": features,
        "models": found,
        **provenance(),
    }
    write_json(workdir / "comparison.json", comparison)
    for file, content in (
        ("comparison.md", markdown_table(comparison)),
        ("comparison.html", comparison_page(comparison, _figures(workdir, found))),
    ):
        with replacing(workdir / file) as temporary:
            temporary.write_text(content)
    return comparison


def _config(config, name):
    if name != PAPER:
        return relative(config, name)
    known = presets_of(config.data.dataset)
    if PAPER not in known:
        raise InputError(f"{config.data.dataset} has no preset {PAPER!r}; leave it out.")
    paper = known[PAPER]
    steps, batch = config.train.steps, config.train.batch_size
    return dataclasses.replace(
        paper,
        data=config.data,
        train=dataclasses.replace(paper.train, steps=steps, batch_size=batch),
    )


def _measured(config, folder, metrics, features, judge):
    train(config, folder, folder / "export")
    wanted = {"features": features, "judge": judge, "metrics": sorted(metrics or ())}
    # `bin/evaluate --workdir` on the same run writes its own beside the run.
    out = folder / "comparison"
    asked, file = out / "settings.json", out / "evaluation.json"
    if file.exists() and asked.exists() and json.loads(asked.read_text()) == wanted:
        return json.loads(file.read_text())
    subject = evaluate.run_subject(folder)
    evaluation = evaluate.evaluate(
        subject, out, metrics, features, judge, seed=config.train.seed, report=False
    )
    write_json(asked, wanted)
    print(f"    measured in {duration(sum(evaluation['seconds'].values()))}", flush=True)
    return evaluation


def entry(name, evaluations, config):
    """A model's part of `comparison.json`; see `compare`.

    Args:
      name: of the model.
      evaluations: the contents of `evaluation.json`, one a seed.
      config: its `Config`.

    Returns:
      A dict.
    """
    values = {}
    for evaluation in evaluations:
        for row in summary(evaluation):
            values.setdefault(row.key, []).append(row)
    rows = {}
    for key, found in values.items():
        numbers = np.array([row.value for row in found])
        rows[key] = {
            "title": found[0].title,
            "best": found[0].best,
            "mean": float(numbers.mean()),
            "deviation": float(numbers.std(ddof=1)) if len(numbers) > 1 else float("nan"),
            "standard_error": float(found[0].error),
            "count": len(numbers),
        }
    return {
        "what": RELATIVES.get(name, "the published network and settings (another network)"),
        "latent_dims": list(config.model.latent_dims),
        "runs": [evaluation["subject"] for evaluation in evaluations],
        "rows": rows,
    }


def _figures(workdir, models):
    """Of each model's first seed, the pictures that a comparison shows."""
    drawn = {}
    for name in models:
        folder = Workdir(workdir / name / "seed_0").figures
        wanted = ("samples", "reconstructions", "layers")
        drawn[name] = {one: folder / f"{one}.png" for one in wanted}
        drawn[name] = {one: path for one, path in drawn[name].items() if path.exists()}
    return drawn

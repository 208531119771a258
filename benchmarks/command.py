"""Measures speed, side by side in one run, and prints a table.

bin/benchmark --training                       on random images of each data set's size
bin/benchmark --input --datasets=celeb_a --data_dir=DIR
bin/benchmark --mmd                            each estimator, for batches of 64 to 65,536
bin/benchmark --scaling                        two workers beside one; networks for 8 and 64
bin/benchmark --serving --export=exports/mnist  beside the live model's predict
"""

from benchmarks import tables
from tf_mmdvlae.cli.command import DATA_DIR, EXPORT, Command, Flag, absolute_path, place
from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.config import get_config, presets_of

FLAGS = {
    "training": Flag(bool, "measure training beside this machine's ceilings, Keras and pythae"),
    "input": Flag(bool, "measure a data set's images/s: decoded anew, from disk, from memory"),
    "mmd": Flag(bool, "measure each estimator's time and memory, by batch size and dimensions"),
    "scaling": Flag(bool, "measure two workers beside one, and how much 8 and 64 would send"),
    "serving": Flag(bool, "measure an export's latency and images/s beside the live model"),
    "pythae": Flag(bool, "time pythae beside --training [default: where it is installed]"),
    "export": EXPORT._replace(required=False),
    "datasets": Flag(list, "data sets whose presets are measured", ["mnist", "celeb_a"]),
    "presets": Flag(list, "presets for --training [default: default, and paper where it exists]"),
    "data_dir": DATA_DIR,
    "image_dir": Flag(absolute_path, "folder of pictures, for --input --datasets=image_folder"),
    "images": Flag(int, "number of a data set's images for --input", 8000, at_least=1),
    "rounds": Flag(int, "number of times that each measurement is repeated", 5, at_least=1),
    "out": Flag(place, "JSON file for the figures"),
}


def _run(flags):
    measures = {name: part for name, part in _PARTS.items() if getattr(flags, name)}
    if not measures:
        raise InputError(
            "Nothing to measure; give --training, --input, --mmd, --scaling or --serving."
        )
    if flags.serving:
        from tf_mmdvlae.serving.loaded import manifest_of

        main.require(flags, "export")
        manifest_of(flags.export)
    for dataset in flags.datasets:
        get_config(dataset)
    # Here, because it imports TensorFlow.
    from benchmarks.harness import machine
    from tf_mmdvlae.common.files import require_file, write_json
    from tf_mmdvlae.common.provenance import provenance

    out = flags.out and require_file(flags.out)
    figures = {**provenance(), "machine": machine()}
    where, versions = figures["machine"], figures["versions"]
    print(
        f"{where['processor']}, {where['cores']} cores{where['gpu'] and ', ' + where['gpu']}; "
        f"TensorFlow {versions['tensorflow']}, Keras {versions['keras']}",
        flush=True,
    )
    for name, measure in measures.items():
        figures[name], text = measure(flags)
        print(text)
        # A later part may fail.
        if out:
            write_json(out, figures)


def _training(flags):
    from benchmarks.harness import mixed_policy
    from benchmarks.peak_memory import peak_memory
    from benchmarks.pythae_model import has_pythae
    from benchmarks.training_speed import training_speed

    configs = {}
    for dataset in flags.datasets:
        names = [name for name in ("default", "paper") if name in presets_of(dataset)]
        for name in flags.presets or names:
            configs[f"{dataset} {name}"] = get_config(dataset, name)
    policies = ("float32", mixed_policy())
    pythae = has_pythae() if flags.pythae is None else flags.pythae
    rows = {}
    for name, config in configs.items():
        print(f"{name}: measuring ...", flush=True)
        rows[name] = training_speed(config, flags.rounds, policies, pythae)
        for policy in policies:
            rows[name]["precisions"][policy]["memory"] = peak_memory(config, policy)
    note = "\n\nNot compared with pythae; for that, pip install --editable '.[benchmark]'."
    return rows, tables.training_tables(rows) + ("" if pythae else note)


def _input(flags):
    from benchmarks.input_speed import input_speed

    rows = {}
    folders = {"data_dir": flags.data_dir, "image_dir": flags.image_dir}
    for dataset in flags.datasets:
        config = get_config(dataset).changed(data=folders)
        print(f"{dataset}: measuring ...", flush=True)
        rows[dataset] = input_speed(config, flags.images, flags.rounds)
    return rows, tables.input_table(rows)


def _mmd(flags):
    from benchmarks.mmd_speed import mmd_speed

    print("MMD: measuring for about five minutes ...", flush=True)
    rows = mmd_speed(rounds=flags.rounds)
    return rows, tables.mmd_table(rows)


def _scaling(flags):
    from benchmarks.scaling import scaling_speed
    from benchmarks.scaling_model import scaling_model

    rows = {}
    for dataset in flags.datasets:
        config = get_config(dataset)
        print(f"{dataset}: measuring ...", flush=True)
        speed = scaling_speed(config, flags.rounds)
        model = scaling_model(config.model, config.train.batch_size)
        rows[dataset] = {"measured": speed, "model": model}
    return rows, tables.scaling_tables(rows)


def _serving(flags):
    from benchmarks.serving_speed import serving_speed

    print(f"{flags.export}: measuring ...", flush=True)
    speed = serving_speed(flags.export, flags.rounds)
    return speed, tables.serving_table(speed)


_PARTS = {
    "training": _training,
    "input": _input,
    "mmd": _mmd,
    "scaling": _scaling,
    "serving": _serving,
}


main = Command("benchmark", __doc__, FLAGS, _run)

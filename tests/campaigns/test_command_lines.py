"""Command lines with odd values, from the flags' own definitions."""

import importlib
import os
import random
import shutil

import pytest

from tf_mmdvlae.config.settings import Config

pytestmark = pytest.mark.slow

# fmt: off
_WORDS = (
    "", " ", "0", "-1", "nan", "1e999", "9" * 30, "../../x", "/dev/null", "/dev/zero", "/dev/full",
    "/proc/nothing/x", "~nobody_has_it/x", "x" * 300, "x" * 300 + ".png", "x/" * 2500, "a[1]",
    "a[1].png", "a\nb", "\N{SNOWMAN}.csv", "bad\udcff.npz", "$x_{$", "%s{0}", "*", "<b>&", "FILE",
    "FILE/x", "FILE/x.png", "DIR", "LOOP", "none", "None", ",", "1,2", "1:2:3:4", ".", "/", "--x",
    "-2:2:1000000000", f"-2:2:{'9' * 40}", "1e308:-1e308:5", "mnist:0.0.1", "../mnist", "Mnist",
    "{work}", "{export}", "{pictures}", "{work}/model.keras", "inception:/dev/null",
)
_NUMBERS = (
    "", "0", "-1", "1", "3", "1e9", "9" * 30, f"-{'9' * 30}", "9" * 400, "9" * 5000, "nan", "inf",
    "1e-320", "1e308", "0.5", "0x10", "True", str(2**32), str(2**63 - 1), str(2**63),
)
_FIELDS = (
    "conv999999999/2", "dense99999999", "dense8 | dense8 | dense8", "9999999,9999999", "[[[[[[",
    "{1:2}", "()", "'", "1,2,3,4,5", "train[5%:", "1e400", "[" * 2000, "b'x'", "1j", "...",
)
# fmt: on


@pytest.fixture
def lines(finished_run, picture_folder, tmp_path_factory, monkeypatch, reach):
    """Names in lines; command -> a line that it takes. What takes minutes is never reached."""
    for place in (
        "tf_mmdvlae.training.train._fit_with_rollbacks",
        "tf_mmdvlae.evaluation.classifier.fit",
        "tf_mmdvlae.evaluation.evaluate._case",
        "tf_mmdvlae.training.finish.export",
        "tf_mmdvlae.training.finish.draw",
        "benchmarks.training_speed.training_speed",
        "benchmarks.input_speed.input_speed",
        "benchmarks.mmd_speed.mmd_speed",
        "benchmarks.scaling.scaling_speed",
        "benchmarks.serving_speed.serving_speed",
    ):
        module, _, name = place.rpartition(".")
        monkeypatch.setattr(importlib.import_module(module), name, reach)
    # Copies: a line may well add pictures to a folder.
    kept = tmp_path_factory.mktemp("kept")
    sources = {"work": finished_run[0], "export": finished_run[1], "pictures": picture_folder}
    names = {name: shutil.copytree(source, kept / name) for name, source in sources.items()}
    work, picture_folder = names["work"], names["pictures"]
    folder, export = f"--image_dir={picture_folder}", f"--export={names['export']}"
    picture = str(picture_folder / "even" / "000.png")
    trained = ["--dataset=image_folder", folder, "--steps=4", "--batch_size=8"]
    return names, {
        "train": [*trained, "--workdir=w", "--export_dir=e"],
        "train_classifier": [*trained, "--out=c"],
        "evaluate": [f"--workdir={work}", "--out=o"],
        "compare": ["--dataset=image_folder", f"--config.data.image_dir={picture_folder}"],
        "export": [f"--workdir={work}", "--export_dir=e"],
        "figures": [f"--workdir={work}"],
        "prepare": ["--dataset=mnist", f"--source={picture_folder}", "--data_dir=d"],
        "sample": [export, "--count=3", "--out=o.png"],
        "edit": [export, f"--image={picture}", "--attribute=class=odd", "--out=o.png"],
        "encode": [export, folder, "--out=o.csv"],
        "arithmetic": [export, *(f"--{n}={picture}" for n in ("a", "minus", "plus")), "--out=o"],
        "benchmark": ["--training", "--datasets=mnist", "--rounds=1", "--out=b.json"],
    }


def _odd_line(draw, line, main, names):
    """A line with one or two odd values."""
    for _ in range(draw.choice((1, 1, 2))):
        if main.takes_config and draw.random() < 0.4:
            section, fields = draw.choice(list(Config().to_dict().items()))
            value = draw.choice(_WORDS + _NUMBERS + 2 * _FIELDS).replace("{1:2}", "{{1:2}}")
            line = [*line, f"--config.{section}.{draw.choice(list(fields))}={value}"]
            continue
        name, flag = draw.choice(list(main.table.items()))
        if flag.type is bool:
            line = [*line, f"--{name}" + draw.choice(("", "", "=", "=maybe"))]
            continue
        value = draw.choice(_NUMBERS if flag.type in (int, float) else _WORDS)
        line = [word for word in line if not word.startswith(f"--{name}=")]
        line += [f"--{name}={value}"] if draw.random() > 0.05 else []
    for name, path in names.items():
        line = [word.replace(f"{{{name}}}", str(path)) for word in line]
    return line


def _tree(*folders):
    return {
        os.path.join(folder, name)
        for root in folders
        for folder, folders_in, files in os.walk(root)
        for name in (*folders_in, *files)
    }


def test_command_lines(campaign, refuses, lines, tmp_path, monkeypatch):
    names, usual = lines
    kept = _tree(*names.values())
    outer = tmp_path / "outer"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def attempt(generator):
        draw = random.Random(int(generator.integers(2**63)))
        box = outer / "box"
        (box / "DIR").mkdir(parents=True)
        (box / "DIR" / "mine").touch()
        (box / "FILE").write_text("x")
        (box / "LOOP").symlink_to("LOOP")
        monkeypatch.chdir(box)
        try:
            command = draw.choice(list(usual))
            module = "benchmarks.command" if command == "benchmark" else f"tf_mmdvlae.cli.{command}"
            line = _odd_line(draw, usual[command], importlib.import_module(module).main, names)
            before = _tree(outer)
            try:
                is_refused = refuses(command, line)
            except Exception as error:
                raise AssertionError(f"{command} {line}: {error!r}") from error
            left = _tree(outer) ^ before
            assert not (is_refused and left), f"{command} {line} left or took {sorted(left)[:3]}"
            assert kept <= _tree(*names.values()), f"{command} {line} took a file"
            return is_refused
        finally:
            monkeypatch.chdir(tmp_path)
            shutil.rmtree(outer)

    campaign(attempt, short=30, minutes=4)

"""bin/train: what it says, and what it refuses."""

import json
import re
import shutil

import pytest

from tf_mmdvlae.cli import command, train
from tf_mmdvlae.config.overrides import override
from tf_mmdvlae.training.finish import Result
from tf_mmdvlae.training.run import load_run
from tf_mmdvlae.training.workdir import Workdir


def test_a_workdir_that_cannot_be_written(run_command, tmp_path, picture_folder):
    (tmp_path / "file").touch()
    code, _, errors = run_command(
        "train",
        "--dataset=image_folder",
        f"--image_dir={picture_folder}",
        f"--workdir={tmp_path / 'file' / 'run'}",
    )
    assert code == 1
    assert "Cannot write to" in errors


@pytest.mark.slow
def test_a_finished_run_says_so(run_command, finished_run, run_config):
    code, out, errors = run_command(
        "train",
        "--dataset=image_folder",
        f"--image_dir={run_config.data.image_dir}",
        f"--workdir={finished_run[0]}",
        f"--export_dir={finished_run[1]}",
        "--steps=12",
        "--batch_size=8",
        "--config.model.image_shape=8,8,1",
        "--config.model.latent_dims=2,3",
        "--config.model.blocks=(('conv4/2',),('conv6/2',),('dense8',))",
        "--config.model.head_width=5",
        "--config.model.deviation_floor=0.08",
        "--config.model.initial_deviation=0.5",
        "--config.data.test_fraction=0.3",
        "--config.train.log_every=4",
        "--config.train.checkpoint_every=4",
        "--config.train.learning_rate=1e-3",
        "--config.train.decay_start=0.6",
        "--config.train.first_stage=0.35",
        "--config.train.stage=0.15",
    )
    assert code == 0, errors
    assert "is finished" in out
    assert str(finished_run[1] / "1") in out


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--config.train.lr=1", "config.train.lr is not known"),
        ("--config.data.crop=2", "data.crop is 2.0"),
        ("--steps=0", "train.steps is 0"),
        ("--latent_dims=two", "latent_dims is 'two'; it must be whole numbers with commas"),
    ],
)
def test_a_bad_setting_is_refused_before_a_data_set_is_downloaded(run_command, flag, message):
    """A look for the data set would say that there is none of this name."""
    code, _, errors = run_command("train", "--dataset=some_set", flag)
    assert code == 1
    assert errors.startswith("error: ")
    assert message in errors


def test_a_classifiers_numbers_are_checked_before_a_data_set_is_downloaded(run_command):
    _, _, errors = run_command("train_classifier", "--dataset=some_set", "--batch_size=0")
    assert "train.batch_size is 0; it must be at least" in errors


@pytest.fixture
def admitted(monkeypatch, tmp_path):
    """Name of a run's folder -> its settings, also of runs that are refused later."""
    configs = {}
    admit = Workdir.admit

    def noted(self, config):
        configs[self.path.name] = admit(self, config)
        return configs[self.path.name]

    monkeypatch.setattr(Workdir, "admit", noted)
    monkeypatch.chdir(tmp_path)
    return configs


def test_the_settings_that_pictures_decide_are_printed(
    run_command, picture_folder, tmp_path, admitted
):
    """A batch that the pictures don't fill ends the run after its summary, and leaves nothing."""
    code, out, errors = run_command(
        "train",
        "--dataset=image_folder",
        f"--image_dir={picture_folder}",
        "--workdir=new/run",
        "--image_size=16",
        "--latent_dims=2",
        "--learning_rate=0.003",
        "--epochs=100",
        "--batch_size=500",
    )
    assert code == 1
    assert "Pictures: 48, grey, most at least 8 pixels a side: training at 16x16x1;" in out
    config = admitted["run"]
    assert not list(tmp_path.iterdir())
    assert config.model.image_shape == (16, 16, 1)
    assert config.model.latent_dims == (2, 2, 2)
    assert config.train.learning_rate == 0.003
    # The summary's blocks can be given as they are printed.
    (blocks,) = re.findall(r"^ *blocks +(.*)$", out, re.MULTILINE)
    assert override(config, [("model.blocks", blocks)]) == config
    assert "--batch_size=" in errors


def test_a_run_from_the_file_that_a_run_wrote(
    run_command, finished_run, run_config, picture_folder, tmp_path, admitted
):
    """A batch that the pictures don't fill ends the run once its settings are known."""
    file = finished_run[0] / "config.json"
    for arguments in ([], ["--dataset=image_folder"]):
        code, _, errors = run_command(
            "train", f"--config_file={file}", "--batch_size=500", "--seed=7", *arguments
        )
        assert code == 1
        assert "--batch_size=" in errors
        config = run_config.changed(train={"batch_size": 500, "seed": 7})
        # The default folder is that of the same pictures.
        assert admitted == {
            command.data_name(
                train.main.parse(["--dataset=image_folder", f"--image_dir={picture_folder}"])
            ): config
        }
        admitted.clear()


@pytest.mark.slow
def test_a_dry_run_tells_what_a_run_would_take_and_writes_nothing(
    run_command, finished_run, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    line = ("train", f"--config_file={finished_run[0] / 'config.json'}", "--dry_run")
    before = {path: path.stat().st_mtime_ns for path in finished_run[0].rglob("*")}
    _, out, _ = run_command(*line, f"--workdir={finished_run[0]}")
    assert f"The run in {finished_run[0]} is finished." in out
    # Another seed would begin anew, with the disk cache that a run would write.
    code, out, errors = run_command(*line, "--seed=1", "--cache=disk", "--steps=2000")
    assert code == 0, errors
    rows = dict(re.findall(r"^  (\w[\w ]*?)  +(.*)$", out, re.MULTILINE))
    model = load_run(finished_run[0])
    assert rows["parameters"] == f"{model.count_params():,}"
    metrics = json.loads((finished_run[0] / "metrics.json").read_text())
    assert rows["images"] == f"{metrics['train_images']} to train on"
    rate = float(rows["speed"].partition(" ")[0].replace(",", ""))
    minutes, seconds = re.search(r"training (\d+):(\d\d),", rows["time"]).groups()
    assert int(minutes) * 60 + int(seconds) == pytest.approx(2000 * 8 / rate, abs=1)
    assert not list(tmp_path.iterdir())
    assert before == {path: path.stat().st_mtime_ns for path in finished_run[0].rglob("*")}


def test_a_dry_run_does_not_prepare_a_data_set(run_command, finished_run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, _ = run_command("train", "--dataset=mnist", f"--data_dir={tmp_path}", "--dry_run")
    assert code == 0
    assert "mnist is not prepared; a run downloads it first" in out
    assert "parameters  1,2" in out
    code, _, errors = run_command(
        "train", "--dataset=image_folder", "--image_dir=.", "--align", "--dry_run"
    )
    assert (code, "--align writes pictures" in errors) == (1, True)
    code, _, errors = run_command(
        "train", "--dataset=mnist", "--dry_run", "--distribute=multi_worker"
    )
    assert (code, "--dry_run tries one machine" in errors) == (1, True)
    huge = "--config.model.head_width=1000000000"
    code, _, errors = run_command("train", "--dataset=mnist", "--dry_run", huge)
    assert (code, "GB of memory at least" in errors) == (1, True)
    assert not list(tmp_path.iterdir())


def test_an_old_file_means_what_it_meant(run_command, tmp_path, admitted):
    old = {
        "model": {"image_shape": [64, 64, 3]},
        "data": {"dataset": "synthetic_faces", "data_dir": str(tmp_path / "none")},
        "train": {"steps": 20, "continued_from": 12},
    }
    (tmp_path / "old.json").write_text(json.dumps(old))
    # Where these pictures would be drawn is a file.
    (tmp_path / "none").touch()
    run_command("train", "--config_file=old.json", "--dataset=synthetic_faces")
    config = admitted["synthetic_faces"]
    assert config.data.dataset == "synthetic_faces:1.0.0"
    assert config.model.initial_deviation == 0.5
    assert config.train.continued_from == 0
    run_command("train", "--config_file=old.json", "--dataset=synthetic_faces:2.0.0")
    assert admitted["synthetic_faces:2.0.0"].data.dataset == "synthetic_faces:2.0.0"


@pytest.mark.parametrize(
    ("content", "flag", "message"),
    [
        ("{", "", "config.json cannot be read"),
        ('{"a": 1}', "", "it lacks 'model'"),
        ('{"model": {}, "data": {}, "train": {}}', "", "it lacks 'data.dataset'"),
        ('{"model": {"x": 1}, "data": {"dataset": "mnist"}, "train": {}}', "", "model.x is not kn"),
        (None, "", "config.json cannot be read (No such file"),
        ("{}", "--preset=paper", "--preset and --config_file both say"),
        (
            '{"model": {}, "data": {"dataset": "mnist:3.0.1"}, "train": {}}',
            "--dataset=celeb_a",
            "config.json is of mnist, not of celeb_a; leave --dataset out",
        ),
    ],
)
def test_a_file_that_holds_no_settings_of_a_run(
    run_command, tmp_path, monkeypatch, content, flag, message
):
    monkeypatch.chdir(tmp_path)
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    code, _, errors = run_command("train", "--config_file=config.json", *filter(None, [flag]))
    assert code == 1
    assert len(errors.splitlines()) == 1
    assert message in errors
    assert "runs" not in {path.name for path in tmp_path.iterdir()}


def test_two_folders_of_pictures_have_folders_of_their_own(
    run_command, picture_folder, tmp_path, admitted
):
    folders = [picture_folder, *(tmp_path / name for name in ("a b", "a_b", "x/a b", "x"))]
    lines = [train.main.parse(["--dataset=image_folder", f"--image_dir={f}"]) for f in folders]
    names = [command.data_name(line) for line in lines]
    assert len(set(names)) == 5
    assert all(re.fullmatch("image_folder_a_b_[0-9a-f]{6}", name) for name in names[1:4])
    (tmp_path / "link").symlink_to(tmp_path / "x")
    line = train.main.parse(["--dataset=image_folder", f"--image_dir={tmp_path}/link/a b"])
    assert command.data_name(line) == names[3]
    folder = f"--image_dir={picture_folder}"
    run_command("train", "--dataset=image_folder", folder, "--batch_size=500")
    assert list(admitted) == [names[0]]


def test_an_old_run_on_a_folder_goes_on_where_and_as_it_began(
    run_command, picture_folder, tmp_path, admitted
):
    """In runs/image_folder, with the pictures that version 0.2 read."""
    pictures = tmp_path / "pictures"
    shutil.copytree(picture_folder, pictures)
    shutil.copytree(picture_folder / "even", pictures / ".hidden")
    arguments = ("--dataset=image_folder", f"--image_dir={pictures}", "--batch_size=500")
    old = tmp_path / "runs" / "image_folder"
    old.mkdir(parents=True)
    (old / "config.json").write_text(
        json.dumps({"data": {"dataset": "image_folder", "image_dir": str(pictures)}})
    )
    _, out, _ = run_command("train", *arguments)
    assert "Pictures: 72," in out
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["image_folder"]
    assert admitted["image_folder"].data.listing == "0.2"
    _, out, _ = run_command("train", *arguments, "--workdir=runs/new")
    assert "Pictures: 48," in out
    assert admitted["new"].data.listing == "0.3"


def test_an_export_of_another_model_is_found_before_the_first_step(
    run_command, finished_run, picture_folder, tmp_path
):
    _, _, errors = run_command(
        "train",
        "--dataset=image_folder",
        f"--image_dir={picture_folder}",
        f"--workdir={tmp_path / 'run'}",
        f"--export_dir={finished_run[1]}",
    )
    assert "is a model of images of shape [8, 8, 1], not [28, 28, 1]; give another" in errors
    assert not (tmp_path / "run").exists()


def test_the_run_behind_a_run_may_go_once_that_has_begun(run_command, finished_run, tmp_path):
    settings = json.loads((finished_run[0] / "config.json").read_text())
    settings["train"]["init_from"] = str(tmp_path / "gone")
    (tmp_path / "config.json").write_text(json.dumps(settings))
    line = ("train", f"--config_file={tmp_path / 'config.json'}", f"--workdir={tmp_path}")
    code, _, errors = run_command(*line, "--dry_run")
    assert (code, f"{tmp_path / 'gone'} holds no run" in errors) == (1, True)
    shutil.copy(finished_run[0] / "metrics.json", tmp_path)
    code, out, errors = run_command(*line, "--dry_run")
    assert code == 0, errors
    assert f"The run in {tmp_path} is finished." in out


@pytest.mark.parametrize(("split", "is_told"), [("test", True), ("validation", False)])
def test_errors_of_images_that_chose_the_weights_say_so(tmp_path, capsys, split, is_told):
    metrics = {"test": {}, "test_images": 500, "probes": {}, "chosen_on": split}
    train._print_result(Result(tmp_path, metrics, tmp_path))
    assert ("chose its weights by the first of these images" in capsys.readouterr().out) == is_told

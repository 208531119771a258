"""Whose folder it is, and what stays in it."""

import json

import pytest

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.training.workdir import Workdir


def begin(folder, config):
    """A folder with a checkpoint."""
    workdir = Workdir(folder)
    with workdir.locked():
        workdir.claim(config)
    workdir.checkpoints.mkdir()
    (workdir.checkpoints / "step_00000004.json").touch()
    return workdir


@pytest.fixture
def workdir(run_config, tmp_path):
    return begin(tmp_path / "work", run_config)


@pytest.mark.parametrize(
    ("before", "after", "refused"),
    [
        ("memory", "disk", False),
        ("auto", "memory", False),
        ("disk", "none", True),
        ("none", "auto", True),
    ],
)
def test_a_cache_that_changes_the_order_is_refused(
    run_config, replace, tmp_path, before, after, refused
):
    workdir = begin(tmp_path / "work", replace(run_config, "data.cache", before))
    changed = replace(run_config, "data.cache", after)
    if refused:
        with pytest.raises(InputError, match=f"data.cache: '{before}' there, '{after}' now"):
            workdir.claim(changed)
    else:
        workdir.claim(changed)


def test_a_run_that_took_all_its_steps_goes_on_with_more(workdir, run_config, replace):
    more = replace(run_config, "train.steps", 20)
    with pytest.raises(InputError, match="train.steps: 12 there, 20 now"):
        workdir.claim(more)
    (workdir.checkpoints / "step_00000012.json").touch()
    with pytest.raises(InputError, match="other settings .train.seed: 0 there, 1 now.;?"):
        workdir.claim(replace(more, "train.seed", 1))
    assert workdir.claim(run_config) == run_config
    # The second time it is the same run, stopped in between.
    for _ in range(2):
        assert workdir.claim(more).train.continued_from == 12
        assert workdir.read_config().train.steps == 20
    for steps in (12, 21):
        with pytest.raises(InputError, match=f"train.steps: 20 there, {steps} now"):
            workdir.claim(replace(run_config, "train.steps", steps))
    (workdir.checkpoints / "step_00000020.json").touch()
    assert workdir.claim(replace(run_config, "train.steps", 21)).train.continued_from == 20


def test_a_run_keeps_its_listing(workdir, run_config):
    """A folder's files stay in the split that they are in."""
    record = run_config.to_dict()
    del record["data"]["listing"]
    workdir.config_file.write_text(json.dumps(record))
    assert workdir.claim(run_config).data.listing == "0.2"
    assert workdir.read_config().data.listing == "0.2"


def test_a_new_run_in_its_folder_of_pictures_is_refused(run_config, picture_folder, tmp_path):
    """Its figures would be pictures to train on."""
    (tmp_path / "link").symlink_to(picture_folder)
    for folder in (picture_folder, picture_folder / "runs" / "x", tmp_path / "link" / "runs"):
        with pytest.raises(InputError, match="lies in --image_dir=.* figures of the run"):
            Workdir(folder).admit(run_config)
    for folder in (picture_folder / ".runs" / "x", picture_folder.parent / "runs", tmp_path):
        Workdir(folder).admit(run_config)


def test_a_run_that_began_in_its_folder_of_pictures_goes_on(run_config, replace, tmp_path):
    workdir = begin(tmp_path, run_config)
    inside = replace(run_config, "data.image_dir", str(tmp_path))
    workdir.config_file.write_text(json.dumps(inside.to_dict()))
    workdir.admit(inside)


def test_results_of_fewer_steps_finish_no_run(workdir, run_config, replace):
    workdir.metrics_file.write_text('{"steps": 12}')
    (workdir.checkpoints / "step_00000012.json").touch()
    assert workdir.is_finished
    workdir.claim(replace(run_config, "train.steps", 20))
    assert not workdir.is_finished


def test_a_begun_run_without_its_settings_is_refused(workdir, run_config):
    workdir.config_file.unlink()
    with pytest.raises(InputError, match="no config.json.*another --workdir"):
        workdir.claim(run_config)
    assert not workdir.config_file.exists()


def test_a_damaged_line_of_the_log_is_left_out_and_those_after_it_stay(workdir, caplog):
    whole = [{"step": step, "seconds": 1.5, "loss": 2.0, "val_l1": None} for step in (4, 8, 12)]
    lines = [json.dumps(record).encode() for record in whole]
    bad = [b"{}", b"[]", b'"', b"\xff\xfe", b'{"step": "4"}', lines[0][:-9], b"[" * 100_000]
    bad.append(b'{"step": 3, "seconds": 1, "loss": "x"}')
    workdir.history_file.write_bytes(b"\n".join([lines[0], *bad, *lines[1:]]))
    assert workdir.read_history() == whole
    assert f"Line 2 of {workdir.history_file} is left out: it lacks 'step'" in caplog.text
    assert workdir.rewind_history(8) == whole[:2]
    assert workdir.history_file.read_text().splitlines() == [json.dumps(r) for r in whole[:2]]


def test_settings_are_admitted_before_they_are_written(run_config, tmp_path):
    workdir = Workdir(tmp_path / "new" / "work")
    with workdir.locked():
        assert workdir.admit(run_config) == run_config
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", ["{}", "[]", "[" * 100_000, '{"test": {"l1": 3}}', "{"])
def test_damaged_results_are_refused(workdir, content):
    workdir.metrics_file.write_text(content)
    with pytest.raises(InputError, match="metrics.json cannot be read.*Remove it"):
        workdir.read_metrics()


def test_what_a_killed_run_was_writing_is_removed(workdir):
    workdir.figures.mkdir()
    names = ("model.keras", "history.jsonl", "config.json", "metrics.json")
    fitted = ("directions.npz", "samplers.npz")
    leftovers = [workdir.path / f".123.{name}" for name in (*names, *fitted)]
    leftovers.append(workdir.figures / ".123.layers.png")
    others = [
        workdir.path / ".mine.json",
        workdir.path / "model.keras",
        workdir.figures / "layers.png",
    ]
    for path in (*leftovers, *others):
        path.touch()
    with workdir.locked():
        assert not any(path.exists() for path in leftovers)
        assert all(path.exists() for path in others)


def test_old_curves_are_removed_and_nothing_else(workdir):
    workdir.clear_tensorboard()
    workdir.tensorboard.mkdir()
    for name in ("events.out.tfevents.1.host", "notes.txt"):
        (workdir.tensorboard / name).touch()
    workdir.clear_tensorboard()
    assert [path.name for path in workdir.tensorboard.iterdir()] == ["notes.txt"]


def test_of_many_differences_the_data_set_comes_first(workdir, run_config, replace):
    other = replace(run_config, "data.dataset", "mnist")
    for name in ("steps", "batch_size", "log_every", "seed"):
        other = replace(other, f"train.{name}", 77)
    with pytest.raises(
        InputError, match=r"settings \(data.dataset: 'image_folder' there, .*; and 1 more\)"
    ):
        workdir.claim(other)


def test_a_run_on_old_synthetic_faces_does_not_go_on_with_new_ones(workdir, run_config, replace):
    new = replace(run_config, "data.dataset", "synthetic_faces")
    record = new.to_dict()
    record["data"]["dataset"] = "synthetic_faces"  # As version 0.2.0 wrote it.
    workdir.config_file.write_text(json.dumps(record))
    with pytest.raises(InputError, match=r"'synthetic_faces:1.0.0' there, 'synthetic_faces:2.0.0'"):
        workdir.claim(new)
    workdir.claim(replace(run_config, "data.dataset", "synthetic_faces:1.0.0"))


def test_a_run_keeps_what_it_starts_from(hub, run_config, replace, tmp_path):
    """A name on the Hub is that of one commit from then on, and its data sets are remembered."""
    source = replace(run_config, "data.dataset", "celeb_a:2.1.0")
    source = replace(source, "train.ancestors", ("mnist",)).to_dict()
    files = {"config.json": json.dumps(source).encode(), "model.keras": b"a model"}
    first = hub.add("me/run", files)
    config = replace(run_config, "train.init_from", "hf://me/run")
    workdir = begin(tmp_path / "work", config)
    hub.add("me/run", files)
    # A resumed run asks nothing of the Hub.
    hub.stop()
    for train in (workdir.claim(config).train, workdir.read_config().train):
        assert train.init_from == f"hf://me/run@{first}"
        assert train.ancestors == ("celeb_a:2.1.0", "mnist")
    with pytest.raises(InputError, match="train.init_from: .* there, 'hf://you/run' now"):
        workdir.claim(replace(run_config, "train.init_from", "hf://you/run"))

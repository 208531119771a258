"""How two workers are compared with one process."""

import json
import os

import pytest

from benchmarks import scaling
from benchmarks.scaling import run_workers, scaling_speed
from tf_mmdvlae.common.errors import InputError


def test_a_killed_worker_is_named():
    program = "import os; os.kill(os.getpid(), 9)"
    with pytest.raises(InputError, match=r"^A worker failed \(killed by SIGKILL\)$"):
        run_workers(["-c", program], [os.sched_getaffinity(0)])


def test_workers_have_their_cores_and_find_each_other():
    cores = sorted(os.sched_getaffinity(0))
    places = [{cores[0]}, {cores[-1]}]
    program = "import os; print(os.sched_getaffinity(0), os.environ['TF_CONFIG'])"
    outputs = run_workers(["-c", program], places)
    for index, (place, output) in enumerate(zip(places, outputs, strict=True)):
        assert output.startswith(str(place))
        assert f'"index": {index}' in output
        assert output.count("127.0.0.1:") == 2


@pytest.mark.parametrize(
    ("cores", "siblings", "halves"),
    [
        ([0, 1, 2, 3, 4], [], ([0, 1], [2, 3])),
        ([0, 1, 2, 3], [(0, 2), (1, 3)], ([0, 2], [1, 3])),
        ([0, 1, 2, 3, 4, 5], [(0, 3), (1, 4), (2, 5)], ([0, 3], [1, 4])),
        ([0, 1, 2], [(0, 2), (1, 3)], ([0], [1])),
        ([0, 1], [(0, 1)], ([0], [1])),
    ],
)
def test_threads_of_a_core_stay_with_one_worker(tmp_path, cores, siblings, halves):
    for group in siblings:
        for core in group:
            folder = tmp_path / f"cpu{core}" / "topology"
            folder.mkdir(parents=True)
            (folder / "thread_siblings_list").write_text(",".join(map(str, group)))
    assert scaling.halves_of(cores, tmp_path) == halves


def test_two_workers_are_compared_with_one_process_on_the_same_cores(run_config, monkeypatch):
    step_seconds = iter([0.5, 0.4, 0.8, 1.0])
    places, configs = [], []

    def finish_at_once(arguments, cores):
        places.append([set(own) for own in cores])
        configs.append(json.loads(arguments[-1])["train"])
        return [f"a line of TensorFlow's\n[{next(step_seconds)}]"] * len(cores)

    monkeypatch.setattr(scaling, "run_workers", finish_at_once)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3, 4})
    monkeypatch.setattr(scaling, "halves_of", lambda cores: (cores[:2], cores[2:4]))
    speed = scaling_speed(run_config, rounds=2)
    assert places == 2 * [[{0, 1, 2, 3}], [{0, 1}, {2, 3}]]
    assert [one["batch_size"] for one in configs] == [256] * 4
    assert [one["distribute"] for one in configs] == 2 * ["none", "multi_worker"]
    assert speed["cores"] == 4
    assert speed["one"] == {"median": 416.0, "low": 320.0, "high": 512.0}
    assert speed["efficiency"]["high"] == pytest.approx(1.25)
    assert speed["efficiency"]["low"] == pytest.approx(0.8)


@pytest.mark.parametrize("cores", [{3}, set()])
def test_a_single_core_is_refused(run_config, monkeypatch, cores):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: cores)
    with pytest.raises(InputError, match="needs two cores"):
        scaling_speed(run_config)


@pytest.mark.slow
def test_a_worker_measures_the_seconds_of_each_step(run_config):
    model = {"latent_dims": (2,), "blocks": (("dense8",),)}
    seconds = scaling._worker(run_config.changed(model=model))
    assert len(seconds) == 20
    assert min(seconds) > 0

"""A damaged file among those that a run, an export and a classifier keep."""

import json
import random
import shutil

import pytest

from tf_mmdvlae.common.files import digest
from tf_mmdvlae.training.checkpoints import ROLLBACKS, Checkpoints

pytestmark = pytest.mark.slow

_VALUES = (None, True, -1, 0, 10**30, 1e308, "", "x" * 300, "../../x", [], {}, [[]], {"x": {}})


def damaged(draw, content, is_json):
    """The content of a file with one fault."""
    kind = draw.choice(("flip", "cut", "zeros", "empty", "other") + ("value",) * 3 * is_json)
    at = draw.randrange(len(content))
    if kind == "value":
        values = json.loads(content)
        _replace_one(draw, values)
        return json.dumps(values).encode()
    return {
        "flip": content[:at] + bytes([content[at] ^ 1 << draw.randrange(8)]) + content[at + 1 :],
        "cut": content[:at],
        "zeros": content[:at] + bytes(len(content[at : at + 64])) + content[at + 64 :],
        "empty": b"",
        "other": draw.choice((b"{}", b"[]", b"null", b"[" * 100_000, b"\xff\xfe", b"PK\x03\x04")),
    }[kind]


def _replace_one(draw, values):
    """Replaces a value anywhere in dicts and lists by another one, or takes it away."""
    while True:
        key = draw.choice(list(values) if isinstance(values, dict) else range(len(values)))
        if not (isinstance(values[key], (dict, list)) and values[key]) or draw.random() < 0.3:
            break
        values = values[key]
    if draw.random() < 0.3:
        del values[key]
    else:
        values[key] = draw.choice(_VALUES)


@pytest.fixture(scope="module")
def classifier(run_config, tmp_path_factory):
    from tf_mmdvlae.evaluation.classifier import train_classifier

    folder = tmp_path_factory.mktemp("classifier") / "kept"
    train_classifier(run_config.data, (8, 8, 1), folder, steps=2, batch_size=8)
    return folder


def test_damaged_files(campaign, refuses, finished_run, classifier, tmp_path, monkeypatch, reach):
    """No traceback, and no folder but those that the command line names is written to."""
    for place in ("evaluation.evaluate._case", "training.finish.export", "training.finish.draw"):
        monkeypatch.setattr(f"tf_mmdvlae.{place}", reach)
    kept = tmp_path / "kept"
    for name, source in zip(
        ("work", "export", "classifier"), (*finished_run[:2], classifier), strict=True
    ):
        shutil.copytree(source, kept / name)
    work, export = f"--workdir={kept / 'work'}", f"--export={kept / 'export'}"
    lines = {
        "work": (
            ("figures", [work]),
            ("export", [work, f"--export_dir={tmp_path / 'new'}"]),
            ("evaluate", [work, f"--out={tmp_path / 'out'}"]),
        ),
        "export": (("sample", [export, "--count=2", f"--out={tmp_path / 'sample.png'}"]),),
        "classifier": (
            (
                "evaluate",
                [work, f"--judge={kept / 'classifier'}", f"--out={tmp_path / 'out'}"],
            ),
        ),
    }
    unread = ("tfevents", ".png", "fingerprint.pb", "README.md", "warmup_requests", ".weights.h5")
    files = [
        path
        for path in sorted(kept.rglob("*"))
        if path.is_file() and not any(word in path.name for word in unread)
    ]
    whole = {path: path.read_bytes() for path in files}
    before = set(tmp_path.rglob("*"))

    def attempt(generator):
        draw = random.Random(int(generator.integers(2**63)))
        path = draw.choice(files)
        content = damaged(draw, whole[path], path.suffix == ".json")
        path.write_bytes(content)
        try:
            refused = [refuses(*line) for line in lines[path.relative_to(kept).parts[0]]]
        except Exception as error:
            raise AssertionError(f"{path.name}: {error!r}; was {content[:2000]!r}") from error
        finally:
            path.write_bytes(whole[path])
            (tmp_path / "sample.png").unlink(missing_ok=True)
        assert set(tmp_path.rglob("*")) == before, path.name
        return any(refused)

    campaign(attempt, short=4, minutes=4)


def test_damaged_checkpoints(campaign, finished_run, tmp_path):
    """What is loaded is what was saved, to the bit; else the checkpoint before it, or none."""
    saved = finished_run[0] / "checkpoints"
    files = sorted(saved.iterdir())
    whole = {path.name: digest(path) for path in files}

    def attempt(generator):
        draw = random.Random(int(generator.integers(2**63)))
        folder = tmp_path / "checkpoints"
        shutil.copytree(saved, folder)
        for path in draw.sample(files, draw.choice((1, 1, 2))):
            content = path.read_bytes()
            (folder / path.name).write_bytes(damaged(draw, content, path.suffix == ".json"))
        step, rollbacks = Checkpoints(folder).newest()
        name = f"step_{step:08d}.weights.h5"
        assert step == 0 or digest(folder / name) == whole[name]
        assert rollbacks in range(ROLLBACKS + 1)
        shutil.rmtree(folder)
        return step < 12

    campaign(attempt, short=40, minutes=1)

"""Everything public is there, documented, and quick to import."""

import ast
import inspect
import pathlib
import subprocess
import sys

import pytest

import tf_mmdvlae

ROOT = pathlib.Path(__file__).resolve().parents[1]
FLOORS = [
    {"errors", "version", "progress"},
    {"files", "mmd_blocks"},
    {"mmd", "config", "latents", "schedule", "drawing", "normalization", "optimizer"},
    {
        "configs",
        "layers",
        "data",
        "directions",
        "samplers",
        "tiles",
        "loss_curves",
        "strips",
        "workdir",
        "machine",
    },
    {"model", "evaluation", "figures", "callables", "feature_models"},
    {
        "callbacks",
        "checkpoints",
        "workers",
        "serving",
        "results",
        "report",
        "feature_spaces",
        "classifier_network",
    },
    {"training", "classifier"},
    {"benchmarks", "evaluating"},
    {"comparing"},
    {"cli"},
]
FLOOR = {name: floor for floor, names in enumerate(FLOORS) for name in names}
FILES = sorted((ROOT / "tf_mmdvlae").rglob("*.py"))


@pytest.mark.parametrize("name", [n for n in tf_mmdvlae.__all__ if n != "__version__"])
def test_public_names_resolve_and_are_documented(name):
    thing = getattr(tf_mmdvlae, name)
    assert inspect.getdoc(thing)
    if inspect.isclass(thing):
        for method, value in vars(thing).items():
            keras_names = ("call", "get_config", "train_step", "test_step", "metrics", "build")
            if not method.startswith("_") and callable(value) and method not in keras_names:
                assert inspect.getdoc(value), f"{name}.{method}"


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = tf_mmdvlae.nothing


def test_importing_the_package_loads_no_tensorflow():
    program = (
        "import sys, tf_mmdvlae, tf_mmdvlae.config, tf_mmdvlae.latents, tf_mmdvlae.figures\n"
        "assert 'tensorflow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_file_imports_only_from_floors_below_its_own(path):
    part = path.relative_to(ROOT / "tf_mmdvlae").parts[0].removesuffix(".py")
    if part == "__init__":
        return
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree), "a file says what it is for"
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module == "tf_mmdvlae":
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tf_mmdvlae."):
            names = [node.module.split(".")[1]]
        elif isinstance(node, ast.Import):
            parts = [alias.name.split(".") for alias in node.names]
            names = [part[1] for part in parts if part[0] == "tf_mmdvlae" and len(part) > 1]
        for name in names:
            assert name == part or FLOOR[name] < FLOOR[part], f"{path} imports {name}"

"""Everything public is there, documented, and quick to import."""

import ast
import graphlib
import inspect
import pathlib
import subprocess
import sys

import pytest

import tf_mmdvlae

ROOT = pathlib.Path(__file__).resolve().parents[1]
FLOORS = [
    "common",
    "config",
    "data",
    "model",
    "metrics",
    "figures",
    "serving",
    "client",
    "explorer",
    "training",
    "evaluation",
    "cli",
    "benchmarks",
]


def _module(path):
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


FILES = sorted([*(ROOT / "tf_mmdvlae").rglob("*.py"), *(ROOT / "benchmarks").rglob("*.py")])
MODULES = {_module(path): path for path in FILES}
PACKAGE = [path for path in FILES if path.is_relative_to(ROOT / "tf_mmdvlae")]


def _room(module):
    package, _, rest = module.partition(".")
    return rest.partition(".")[0] if package == "tf_mmdvlae" else package


def _imports(path):
    """The modules of ours that a file imports, inside functions too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path} has a relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            yield from [n for n in (name, name.rpartition(".")[0]) if n in MODULES][:1]


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
        "import sys, tf_mmdvlae.config.settings, tf_mmdvlae.model.latents\n"
        "import tf_mmdvlae.figures.run, tf_mmdvlae.client\n"
        "assert 'tensorflow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)


def test_every_module_lies_in_a_room():
    assert {_room(module) for module in MODULES} == {"", *FLOORS}


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_file_imports_only_from_floors_below_its_own(path):
    assert ast.get_docstring(ast.parse(path.read_text())), "a file says what it is for"
    room = _room(_module(path))
    for name in map(_room, _imports(path)):
        allowed = name in ("", room) or FLOORS.index(name) < FLOORS.index(room)
        assert allowed, f"{path} imports from {name}"


def test_imports_make_no_circle():
    order = graphlib.TopologicalSorter(
        {module: set(_imports(path)) - {module} for module, path in MODULES.items()}
    )
    order.prepare()


def _public_functions(body, within=""):
    """(qualified name, node) of a body's functions without a leading underscore, and __init__."""
    for node in body:
        name = getattr(node, "name", "_")
        if name.startswith("_") and name != "__init__":
            continue
        if isinstance(node, ast.ClassDef):
            yield from _public_functions(node.body, f"{name}.")
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{within}{name}", node


def _without_a_type(name, function):
    given = function.args
    arguments = [*given.posonlyargs, *given.args, given.vararg, *given.kwonlyargs, given.kwarg]
    for argument in filter(None, arguments):
        if argument.annotation is None and argument.arg not in ("self", "cls"):
            yield f"{name}({argument.arg})"
    if function.returns is None and function.name != "__init__":
        yield f"{name} -> ?"


@pytest.mark.parametrize("path", PACKAGE, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_public_function_has_types(path):
    functions = _public_functions(ast.parse(path.read_text()).body)
    assert not [missing for one in functions for missing in _without_a_type(*one)]

"""The client gives what the loaded export gives, by REST and by gRPC, and says what is wrong."""

import io
import socket
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import tf_mmdvlae
from tests.client import servers
from tf_mmdvlae.client import Client
from tf_mmdvlae.common.errors import InputError

DIGITS, FACES = "exports/mnist/1", "exports/synthetic_faces/2"


@pytest.fixture(scope="module")
def served(request):
    # Both sides run the same graphs, and optimizing all of them takes half of the time.
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    yield tf_mmdvlae.load(request.config.rootpath / DIGITS)
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": False})


@pytest.fixture(scope="module")
def models(served):
    return servers.Models(
        {"digits": {1: served, 7: served, 12: served}}, {"digits": {"stable": 1, "next": 7}}
    )


@pytest.fixture(scope="module")
def rest(models):
    with servers.rest(lambda *request: servers.answered(models, *request)) as address:
        yield address


@pytest.fixture(scope="module")
def rpc(models):
    with servers.rpc(models) as address:
        yield address


@pytest.fixture(params=["rest", "rpc"])
def address(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def client(address, served):
    return Client(address, "digits", version=1, manifest=manifest_of(served))


def manifest_of(served):
    return served.path / "assets.extra" / "manifest.json"


def files_of(images):
    files = []
    for image in np.uint8(images.round(2) * 255):
        file = io.BytesIO()
        Image.fromarray(image.squeeze()).save(file, "PNG")
        files.append(file.getvalue())
    return files


def results(functions, images, *files):
    """What every function gives, of images and of files, if there are any."""
    names, layers = functions.attributes[:2], len(functions.latent_dims)
    weights = np.linspace(0.5, 1.5, layers)
    means, deviations = functions.encode(images)
    yield from (*means.values(), *deviations.values())
    yield functions.decode(means)
    yield functions.sample([5, 2**62, -(2**63)], [0.5, 1.0, 0.0])
    yield functions.sample([5], fitted=True)
    more = [(list(files), files[1], files[2:])] if files else []
    for a, b, c in [(images, images[1:2], images[2:]), *more]:
        yield from functions.encode(a)[0].values()
        yield functions.reconstruct(a)
        yield functions.arithmetic(a, b, c, weights)
        yield functions.arithmetic(b, c, b, detail=0.5)
        yield functions.edit(a[:2], names, [1, -2.5], np.ones([2, layers]))
        yield functions.retouch(a, names[0], 1.5)
        yield functions.interpolate(b, c, [0, 0.25, 1.5])


def require_equal(client, served, *files):
    assert client.image_shape == served.image_shape
    assert client.latent_dims == served.latent_dims
    images = served.sample([1, 2, 3])
    expected, given = (list(results(each, images, *files)) for each in (served, client))
    for index, (mine, wanted) in enumerate(zip(given, expected, strict=True)):
        assert mine.dtype == wanted.dtype, index
        np.testing.assert_array_equal(mine, wanted, str(index))
    return given


def test_every_function_gives_what_the_export_gives(client, served):
    given = require_equal(client, served, *files_of(served.sample([4, 5, 6])))
    # A result may be the next picture.
    assert isinstance(given[-1][0], bytes)
    np.testing.assert_array_equal(client.reconstruct(given[-1]), served.reconstruct(given[-1]))


@pytest.mark.slow
def test_faces_are_those_of_the_export(request, rest, rpc, models):
    served = tf_mmdvlae.load(request.config.rootpath / FACES)
    models.models["faces"] = {2: served}
    for address in rest, rpc:
        require_equal(Client(address, "faces", manifest=manifest_of(served)), served)


def test_a_version_or_a_label_is_asked(address, models):
    models.asked.clear()
    for choice in {}, {"version": 1}, {"label": "stable"}, {"label": "next"}:
        assert Client(address, "digits", **choice).sample([1]).shape == (1, 28, 28, 1)
    assert models.asked == [12, 12, 1, 1, 1, 1, 7, 7]
    for choice in {"version": 3}, {"label": "old"}:
        with pytest.raises(InputError, match=r"digits \(\w+\) at .*: Servable not found"):
            Client(address, "digits", **choice)
    with pytest.raises(InputError, match=r"nothing at .*: Servable not found.*that the server has"):
        Client(address, "nothing")
    with pytest.raises(InputError, match="a version or a label, not both"):
        Client(address, "digits", version=1, label="stable")


BAD = {
    "shape": lambda f: f.encode(np.zeros((1, 9, 8, 1))),
    "pixels": lambda f: f.encode(np.zeros((1, 28, 28, 1), np.uint8)),
    "a path": lambda f: f.encode("face.png"),
    "bright": lambda f: f.encode(
        np.float32([0, 9])[:, None, None, None] + np.zeros((2, 28, 28, 1))
    ),
    "not finite": lambda f: f.reconstruct(np.full((1, 28, 28, 1), np.nan)),
    "infinite": lambda f: f.sample([1, 2], [1.0, -np.inf]),
    "row 69": lambda f: f.sample(range(70), [*np.ones(69), -1]),
    "no row": lambda f: f.encode(np.zeros((0, 28, 28, 1))),
    "no files": lambda f: f.encode([]),
    "layers": lambda f: f.decode({"z_1": np.zeros((1, 2))}),
    "attribute": lambda f: f.edit(np.zeros((1, 28, 28, 1)), "Smiling"),
    "no name": lambda f: f.edit(np.zeros((1, 28, 28, 1)), 3),
    "too large": lambda f: f.edit(np.zeros((1, 28, 28, 1)), "label=3", 1e39),
    "detail": lambda f: f.retouch(np.zeros((1, 28, 28, 1)), "label=3", detail=1.5),
    "rows": lambda f: f.retouch(np.zeros((2, 28, 28, 1)), "label=3", detail=[1, 0, 0]),
    "weights": lambda f: f.arithmetic(*[np.zeros((1, 28, 28, 1))] * 3, [1.0]),
    "no picture": lambda f: f.retouch([b"nothing"] * 2, "label=3"),
    "mixed": lambda f: f.interpolate(b"nothing", np.zeros((1, 28, 28, 1)), 0.5),
}


@pytest.mark.parametrize("bad", BAD)
def test_errors_are_those_of_the_loaded_export(bad, client, served):
    messages = []
    for functions in served, client:
        with pytest.raises(InputError) as error:
            BAD[bad](functions)
        messages.append(str(error.value))
    assert messages[0] == messages[1]


def test_without_a_manifest_the_server_checks_the_names(address, served):
    client = Client(address, "digits")
    assert client.attributes == ()
    image = served.sample([1])
    expected = served.edit(image, "label=3")
    np.testing.assert_array_equal(client.edit(image, "label=3"), expected)
    with pytest.raises(InputError, match=r"^attribute .*is not known. Known: label=0, label=1"):
        client.edit(image, "größe")
    with pytest.raises(InputError, match="give its manifest"):
        client.read("face.png")


def test_with_a_manifest_pictures_are_read(client, address, served, request, tmp_path):
    (tmp_path / "x.png").write_bytes(files_of(served.sample([1]))[0])
    np.testing.assert_array_equal(client.read(tmp_path / "x.png"), served.read(tmp_path / "x.png"))
    faces = request.config.rootpath / FACES / "assets.extra" / "manifest.json"
    with pytest.raises(InputError, match=r"manifest\.json is of another model than digits"):
        Client(address, "digits", manifest=faces)


def test_many_rows_go_in_several_requests_with_the_headers(address, models):
    client = Client(address, "digits", headers={"Authorization": "Bearer x"})
    models.batches.clear()
    assert len(client.sample(range(70))) == 70
    assert models.batches == [32, 32, 6]
    headers = [{name.lower(): value for name, value in each.items()} for each in models.seen[-3:]]
    assert [each["authorization"] for each in headers] == ["Bearer x"] * 3


def test_importing_and_asking_need_numpy_alone(rest, served):
    program = (
        "import sys\n"
        "class Nothing:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        known = {*sys.stdlib_module_names, 'numpy', 'tf_mmdvlae'}\n"
        "        if name.partition('.')[0] not in known: raise ImportError(name)\n"
        "sys.meta_path.insert(0, Nothing())\n"
        "from tf_mmdvlae import Client, InputError\n"
        f"client = Client({rest!r}, 'digits', manifest={str(manifest_of(served))!r})\n"
        "assert client.sample([1]).shape == (1, 28, 28, 1)\n"
        "try: Client('grpc://127.0.0.1:1', 'digits')\n"
        "except InputError as error: assert 'tensorflow-serving-api' in str(error)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


@pytest.mark.parametrize("scheme", ["http", "grpc"])
def test_a_server_that_is_not_there_or_silent_is_named(scheme):
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        with pytest.raises(
            ConnectionError, match=f"^faces at {scheme}://127.*{port} can't be asked"
        ):
            Client(f"{scheme}://127.0.0.1:{port}", "faces", timeout=5)
        listening.listen()
        with pytest.raises(ConnectionError, match=r"can't be asked: .*Check the address"):
            Client(f"{scheme}://127.0.0.1:{port}", "faces", timeout=0.2)


@pytest.mark.parametrize("address", ["host:8501", "ftp://host", "http://", ""])
def test_an_address_needs_a_scheme(address):
    with pytest.raises(InputError, match="is no address; give http://host:8501 or grpc://"):
        Client(address, "faces")


@pytest.mark.parametrize(
    ("status", "content", "message"),
    [
        (413, b"<html>", "answers 413 "),
        (502, b"<html>", "502 Bad Gateway"),
        (503, {"error": "the queue is full"}, "503 the queue is full"),
        (404, b"<html>", "404 Not Found"),
        (200, b"<html>", "can't be asked"),
        (200, {"metadata": []}, "its answer is not TensorFlow Serving's"),
        (200, [], "its answer is not TensorFlow Serving's"),
    ],
)
def test_an_answer_of_something_else_is_a_connection_error(status, content, message):
    with (
        servers.rest(lambda *request: (status, content)) as address,
        pytest.raises(ConnectionError, match=message) as error,
    ):
        Client(address, "faces")
    assert "\n" not in str(error.value)


def described(**outputs):
    """A server's description of one layer's `encode` and `decode`, with `encode`'s outputs."""

    def tensor(kind, *shape):
        edges = [{"size": str(edge), "name": ""} for edge in shape]
        return {"dtype": kind, "tensor_shape": {"dim": edges, "unknown_rank": False}}

    table = {
        "encode": {"inputs": {"image": tensor("DT_FLOAT", -1, 2, 2, 1)}, "outputs": outputs},
        "decode": {
            "inputs": {"z_1": tensor("DT_FLOAT", -1, 3)},
            "outputs": {"image": tensor("DT_FLOAT", -1, 2, 2, 1)},
        },
        "__saved_model_init_op": {"inputs": {}, "outputs": {}},
    }
    return {"metadata": {"signature_def": {"signature_def": table}}}


def test_an_older_export_has_outputs_without_a_name_and_fails_as_a_whole():
    answers = {
        "/metadata": (200, described()),
        ":predict": (200, {"outputs": [[[[0.5], [0.25]], [[0.0], [1.0]]]]}),
    }

    def answer(method, path, headers, body):
        return answers[path.removeprefix("/v1/models/old")]

    with servers.rest(answer) as address:
        client = Client(address, "old")
        image = client.decode({"z_1": np.zeros((1, 3))})
        assert image.tolist() == [[[[0.5], [0.25]], [[0.0], [1.0]]]]
        error = "{{node a}} assertion failed: [image must hold] [... values]\n\t [[{{node b}}]]"
        answers[":predict"] = (400, {"error": error})
        with pytest.raises(InputError, match=r"^image must hold\.\.\. values$"):
            client.decode({"z_1": np.zeros((1, 3))})
        with pytest.raises(
            InputError, match=r"old at http.* was exported without a fitted mixture"
        ):
            client.sample([1], fitted=True)
        with pytest.raises(InputError, match="old at http.* cannot edit"):
            client.edit(image, "smile")


def test_another_model_is_refused():
    other = described()
    del other["metadata"]["signature_def"]["signature_def"]["decode"]
    with (
        servers.rest(lambda *request: (200, other)) as address,
        pytest.raises(InputError, match="is no export of this package: it lacks 'decode'"),
    ):
        Client(address, "half_plus_two")


def test_row_and_column_formats_of_the_test_server(models):
    """The server of these tests, which the documentation's requests are decoded by too."""
    path = "/v1/models/digits/versions/1:predict"
    seeds = '"signature_name": "sample"'
    rows = '"instances": [{"seed": 1, "temperature": 1}, {"seed": 2, "temperature": 0.5}]'
    columns = '"inputs": {"seed": [1, 2], "temperature": [1, 0.5]}'
    _, by_row = servers.answered(models, "POST", path, {}, f"{{{seeds}, {rows}}}")
    _, by_column = servers.answered(models, "POST", path, {}, f"{{{seeds}, {columns}}}")
    assert by_column["outputs"]["error"] == ["", ""]
    assert [row["sample"] for row in by_row["predictions"]] == by_column["outputs"]["sample"]
    wrong = {
        "both": f"{{{seeds}, {rows}, {columns}}}",
        "no signature": f'{{"signature_name": "draw", {columns}}}',
        "a word": f'{{{seeds}, "inputs": {{"seed": ["1"], "temperature": [1]}}}}',
        "a broken seed": f'{{{seeds}, "inputs": {{"seed": [1.5], "temperature": [1]}}}}',
        "a ragged list": f'{{{seeds}, "inputs": {{"seed": [1, [2]], "temperature": [1]}}}}',
        "no JSON": "seed=1",
    }
    for body in wrong.values():
        status, answer = servers.answered(models, "POST", path, {}, body)
        assert status == 400, body
        assert set(answer) == {"error"}

"""The server of the page: what it answers, and whom and what it refuses."""

import http.client
import json
import re
import shutil
import socket
import threading

import numpy as np
import pytest
from PIL import Image

from tf_mmdvlae.cli import explore
from tf_mmdvlae.data import detector
from tf_mmdvlae.explorer.server import MAX_BYTES, Server
from tf_mmdvlae.explorer.subject import Subject
from tf_mmdvlae.serving.loaded import load, newest_version

NAME = '<b onclick="x">'


@pytest.fixture(scope="module")
def served(finished_run, tmp_path_factory):
    """The export of the tiny run, in a folder with a name that a page must not take for HTML."""
    folder = tmp_path_factory.mktemp("exports") / NAME
    shutil.copytree(newest_version(finished_run[1]), folder / "1")
    return load(folder)


@pytest.fixture(scope="module")
def server(served):
    with Server(Subject(served)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def ask(server):
    """`ask(method, path, body, **headers)` -> (status, body, headers)."""

    def ask(method, path, body=None, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=30)
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, names)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, content, answer.headers

    return ask


def _about(ask):
    return json.loads(ask("GET", "/about")[1])


def test_about_describes_the_export(ask, served):
    about = _about(ask)
    assert about["image_shape"] == [8, 8, 1]
    assert about["latent_dims"] == [2, 3]
    assert (about["crop"], about["layout"]) == (1.0, None)
    assert [attribute["name"] for attribute in about["attributes"]] == list(served.attributes)
    assert len(about["effects"]) == 5
    for vectors, dims in zip(about["axes"], [2, 3], strict=True):
        np.testing.assert_allclose(np.dot(vectors, np.transpose(vectors)), np.eye(dims), atol=1e-4)


def test_an_effect_is_the_mean_change_of_two_pictures(server, served):
    subject = server.subject
    codes, _ = subject.draw(np.arange(2))
    ends = []
    for value in (-2, 2):
        moved = codes.copy()
        moved[:, 3] = value
        ends.append(served.decode({"z_1": moved[:, :2], "z_2": moved[:, 2:]}))
    expected = np.abs(ends[1] - ends[0]).mean()
    assert subject.about["effects"][3] == pytest.approx(expected, abs=1e-6)


def test_axes_come_in_the_order_of_their_effect(server, served):
    """Along the first, pictures change more than along the last."""
    codes, _ = server.subject.draw(np.arange(2))
    changes = []
    for vector in np.array(server.subject.about["axes"][1], np.float32):
        ends = []
        for value in (-0.5, 0.5):
            higher = codes[:, 2:] + (value - codes[:, 2:] @ vector)[:, None] * vector
            ends.append(served.decode({"z_1": codes[:, :2], "z_2": higher}))
        changes.append(np.square(ends[1] - ends[0]).sum())
    assert changes[0] > changes[-1]


def test_a_vector_moves_codes_as_the_signature_edit_does(ask, served, picture_folder):
    path = next(picture_folder.rglob("*.png"))
    content = ask("POST", "/encode", path.read_bytes())[1]
    code = np.frombuffer(content[:20], "<f4")
    for attribute in _about(ask)["attributes"]:
        moved = code + 1.5 * np.array(attribute["vector"], np.float32)
        pixels = np.frombuffer(ask("POST", "/decode", moved.tobytes())[1], np.uint8)
        edited = served.edit(served.read(path), attribute["name"], 1.5)
        np.testing.assert_allclose(pixels.reshape(1, 8, 8, 1), edited * 255, atol=0.51)


def test_shares_tell_how_much_of_a_change_each_layer_makes(server):
    subject = server.subject
    attribute = subject.about["attributes"][0]
    changes = []
    for layer in (slice(0, 2), slice(2, 5)):
        part = np.zeros(5, np.float32)
        part[layer] = attribute["vector"][layer]
        change = 0
        for code in subject.draw(np.arange(2))[0]:
            ends = subject.decode(np.stack([code - 2 * part, code + 2 * part])).astype(int)
            change += np.abs(ends[1] - ends[0]).mean()
        changes.append(change)
    shares = np.array(changes) / sum(changes)
    np.testing.assert_allclose(attribute["shares"], shares, atol=1e-3)


def test_decode_gives_the_pictures_of_codes(ask, served):
    codes = np.linspace(-1, 1, 15, dtype=np.float32).reshape(3, 5)
    status, content, _ = ask("POST", "/decode", codes.tobytes())
    expected = served.decode({"z_1": codes[:, :2], "z_2": codes[:, 2:]})
    assert status == 200
    pixels = np.frombuffer(content, np.uint8).reshape(3, 8, 8, 1)
    np.testing.assert_allclose(pixels, expected * 255, atol=0.5 + 1e-3)


def test_encode_reads_a_file_as_the_commands_do(ask, served, tmp_path):
    picture = Image.fromarray(np.arange(12 * 20, dtype=np.uint8).reshape(12, 20))
    exif = Image.Exif()
    exif[0x0112] = 6
    picture.save(tmp_path / "turned.png", exif=exif)
    status, content, _ = ask("POST", "/encode", (tmp_path / "turned.png").read_bytes())
    image = served.read(tmp_path / "turned.png")
    means, _ = served.encode(image)
    assert status == 200
    np.testing.assert_allclose(
        np.frombuffer(content[:20], "<f4"), np.concatenate([*means.values()], 1)[0], atol=1e-6
    )
    np.testing.assert_array_equal(
        np.frombuffer(content[20:], np.uint8), np.round(image * 255).ravel()
    )


def test_find_answers_the_points_of_the_upright_picture(ask, tmp_path, monkeypatch):
    sizes, answers = [], []

    def find(picture):
        sizes.append((picture.size, picture.mode))
        return answers.pop()

    monkeypatch.setattr(detector, "find_faces", find)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("L", (20, 12)).save(tmp_path / "turned.png", exif=exif)
    content = (tmp_path / "turned.png").read_bytes()
    points = [[1.25, 2.0], [3.0, 2.5], [1.5, 4.0], [2.5, 4.0]]
    for faces, answer in (([detector.Face(np.array(points), 0.9)], points), ([], None)):
        answers.append(faces)
        assert json.loads(ask("POST", "/find", content)[1]) == {"points": answer}
    assert sizes == [((12, 20), "RGB")] * 2


def test_draws_depend_on_their_seeds_alone(ask):
    one = ask("GET", "/draw?seed=4&count=1")[1]
    three = ask("GET", "/draw?seed=3&count=3")[1]
    row = 5 * 4 + 64
    assert len(three) == 3 * row
    np.testing.assert_allclose(
        np.frombuffer(three[row : row + 20], "<f4"), np.frombuffer(one[:20], "<f4"), atol=1e-5
    )


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "words"),
    [
        ("GET", "/../subject.py", None, 404, "nothing at this address"),
        ("GET", "/page", None, 404, "nothing at this address"),
        ("POST", "/", b"", 404, "nothing at this address"),
        ("POST", "/decode", b"", 400, "5 numbers"),
        ("POST", "/decode", b"123", 400, "3 bytes"),
        ("POST", "/decode", bytes(601 * 20), 400, "1 to 600"),
        ("POST", "/decode", np.full(5, np.nan, "<f4").tobytes(), 400, "finite"),
        ("POST", "/encode", b"", 400, "can't be read as a picture"),
        ("POST", "/find", b"", 400, "can't be read as a picture"),
        ("POST", "/encode", b"__import__('os')", 400, "can't be read as a picture"),
        ("GET", "/draw", None, 400, "whole numbers"),
        ("GET", "/draw?seed=x&count=1", None, 400, "whole numbers"),
        ("GET", "/draw?seed=0&count=601", None, 400, "1 to 600"),
        ("GET", "/draw?seed=-1&count=1", None, 400, "at least 0"),
    ],
)
def test_what_is_wrong_is_said_in_words(ask, method, path, body, status, words):
    answer, content, headers = ask(method, path, body)
    assert answer == status
    assert words in content.decode()
    assert headers["Content-Type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize("host", ["example.org", "127.0.0.1.example.org:80", "", "[::1]:80"])
def test_another_host_is_refused(ask, host):
    assert ask("GET", "/about", Host=host)[0] == 403


@pytest.mark.parametrize("host", ["localhost:8080", "127.0.0.1:8080", "localhost"])
def test_the_own_machine_is_answered_through_a_tunnel_too(ask, host):
    assert ask("GET", "/about", Host=host)[0] == 200


def test_pages_of_other_origins_are_refused(ask, server):
    own = server.address.rstrip("/")
    assert ask("POST", "/decode", bytes(20), Origin=own)[0] == 200
    assert ask("POST", "/decode", bytes(20), Origin="https://example.org")[0] == 403
    assert ask("POST", "/decode", bytes(20), Origin="null")[0] == 403


@pytest.mark.parametrize(
    ("length", "status"),
    [(str(MAX_BYTES + 1), 413), ("9" * 50, 413), ("-1", 411), ("x", 411), (None, 411)],
)
def test_too_large_a_request_is_refused_before_it_is_read(server, length, status):
    header = "" if length is None else f"Content-Length: {length}\r\n"
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=30) as connection:
        connection.sendall(f"POST /encode HTTP/1.1\r\nHost: localhost\r\n{header}\r\n".encode())
        answer = b"".join(iter(lambda: connection.recv(4096), b""))
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())


def test_a_name_is_data_and_never_part_of_the_page(ask):
    status, content, headers = ask("GET", "/about")
    assert status == 200
    assert json.loads(content)["name"] == f"{NAME}/1"
    assert headers["Content-Type"] == "application/json; charset=utf-8"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert NAME.encode() not in ask("GET", "/")[1]


def test_the_page_asks_nothing_of_other_machines(ask, server):
    assert server.server_address[0] == "127.0.0.1"
    for path in server.files:
        status, content, headers = ask("GET", path)
        assert status == 200
        assert headers["Content-Security-Policy"].startswith("default-src 'self'")
        content = content.replace(b"http://www.w3.org/2000/svg", b"")  # A name, never asked for.
        assert not re.search(rb"(https?:)?//[a-z0-9.]+\.[a-z]{2,}|innerHTML|\beval\b", content)


def test_a_port_that_is_taken_is_an_error_of_one_line(server, served, capsys):
    arguments = [f"--export={served.path}", f"--port={server.server_port}", "--noopen"]
    assert explore.main(arguments) == 1
    error = capsys.readouterr().err
    assert f"--port={server.server_port} can't be used: Address already in use" in error
    assert explore.main([f"--export={served.path}", "--port=70000", "--noopen"]) == 1
    assert "from 0 to 65535" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("export", ["synthetic_faces/1", "synthetic_faces/2", "mnist/1"])
def test_the_vectors_of_old_and_new_exports_are_found(export, request):
    about = Subject(load(request.config.rootpath / "exports" / export)).about
    assert len(about["attributes"]) == (10 if "mnist" in export else 30)
    known = [attribute["known"] for attribute in about["attributes"]]
    assert min(known) >= 0
    assert 0.8 < max(known) <= 1

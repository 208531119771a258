"""Shows an export on a page in the browser: sliders for its layers, attributes, photographs.

  bin/explore --export=exports/synthetic_faces
  bin/explore --export=exports/mnist --port=8080 --noopen
  bin/explore --export=exports/mnist --out=page.html
  bin/explore --export=exports/mnist --out=DIR

The page is served at 127.0.0.1, to this machine alone, until Ctrl-C; it asks nothing of any other
machine, and photographs that are dropped on it stay here. For an export on a server, --noopen and a
fixed --port fit a tunnel: ssh -L 8080:127.0.0.1:8080 SERVER.

With --out nothing is served: the page becomes a file that opens from disk and can be mailed, or a
folder for any static web host. It holds the model, which runs in the visitor's browser; photographs
stay there. The browser's runtime, onnxruntime-web, is fetched by npm once, or named by --runtime.
"""

from tf_mmdvlae.cli.command import EXPORT, Command, Flag, place
from tf_mmdvlae.common.errors import InputError

FLAGS = {
    "export": EXPORT,
    "port": Flag(int, "port of this machine; 0 chooses a free one", 0, at_least=0),
    "open": Flag(bool, "open the page in the browser; --noopen prints its address only", True),
    "out": Flag(place, "write the page to this folder, or to one file .html (needs '.[explore]')"),
    "runtime": Flag(
        place, "for --out: folder of an unpacked onnxruntime-web [default: npm fetches it, once]"
    ),
}


def _run(flags):
    from tf_mmdvlae.serving.loaded import manifest_of

    manifest_of(flags.export)
    if flags.out is not None:
        _write(flags)
    elif flags.runtime is not None:
        raise InputError("--runtime is for pages that are written; give --out too.")
    else:
        _serve(flags)


def _serve(flags):
    from tf_mmdvlae.explorer.server import Server
    from tf_mmdvlae.explorer.subject import Subject
    from tf_mmdvlae.serving.loaded import load

    print("Loading ...", flush=True)
    with Server(Subject(load(flags.export)), flags.port) as server:
        print(f"{server.address} shows {flags.export}; Ctrl-C ends it.", flush=True)
        if flags.open:
            _open(server.address)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()


def _write(flags):
    from tf_mmdvlae.common.extras import require_packages
    from tf_mmdvlae.explorer.runtime import find_runtime
    from tf_mmdvlae.explorer.static import check_place, is_one_file, write_page
    from tf_mmdvlae.explorer.subject import Subject
    from tf_mmdvlae.serving.loaded import load
    from tf_mmdvlae.serving.model_card import terms

    require_packages("--out", "explore", ("tf2onnx", "onnxruntime"))
    check_place(flags.out)
    runtime = find_runtime(flags.runtime)
    print("Loading ...", flush=True)
    subject = Subject(load(flags.export))
    size = write_page(subject, runtime, flags.out) / 1e6
    if is_one_file(flags.out):
        print(f"{flags.out}: {size:.0f} MB; a browser opens it from disk, and it can be mailed.")
    else:
        print(f"{flags.out}: {size:.0f} MB for any static web host.")
        print(f"To try it: python3 -m http.server --bind=127.0.0.1 --directory={flags.out}")
    print(f"Whoever has the page has the model. Its data: {terms(subject.about['dataset'])}")


def _open(address):
    import os
    import sys
    import webbrowser

    # Without a screen, Python would start a browser in the terminal and wait for it.
    if sys.platform != "linux" or {"DISPLAY", "WAYLAND_DISPLAY"} & set(os.environ):
        webbrowser.open(address)


main = Command("explore", __doc__, FLAGS, _run)

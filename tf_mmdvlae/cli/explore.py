"""Shows an export on a page in the browser: sliders for its layers, attributes, photographs.

  bin/explore --export=exports/synthetic_faces
  bin/explore --export=exports/mnist --port=8080 --noopen

The page is served at 127.0.0.1, to this machine alone, until Ctrl-C; it asks nothing of any other
machine, and photographs that are dropped on it stay here. For an export on a server, --noopen and a
fixed --port fit a tunnel: ssh -L 8080:127.0.0.1:8080 SERVER.
"""

from tf_mmdvlae.cli.command import EXPORT, Command, Flag

FLAGS = {
    "export": EXPORT,
    "port": Flag(int, "port of this machine; 0 chooses a free one", 0, at_least=0),
    "open": Flag(bool, "open the page in the browser; --noopen prints its address only", True),
}


def _run(flags):
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


def _open(address):
    import os
    import sys
    import webbrowser

    # Without a screen, Python would start a browser in the terminal and wait for it.
    if sys.platform != "linux" or {"DISPLAY", "WAYLAND_DISPLAY"} & set(os.environ):
        webbrowser.open(address)


main = Command("explore", __doc__, FLAGS, _run)

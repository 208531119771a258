"""Whether a download host can be reached."""

import http.server
import threading

from tf_mmdvlae.common.network import network_reachable


def test_network_reachable(monkeypatch):
    class Refusing(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.send_error(405)

        def log_message(self, *arguments):
            pass

    monkeypatch.setenv("no_proxy", "*")
    with http.server.HTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/file"
        assert network_reachable(url)
        server.shutdown()
    assert not network_reachable(url)

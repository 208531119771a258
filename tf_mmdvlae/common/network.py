"""Whether a download host can be reached."""

from __future__ import annotations

import threading
import urllib.error
import urllib.parse
import urllib.request

_SECONDS = 3.0


def network_reachable(url: str) -> bool:
    """Whether the server of `url` answers, also through a proxy, within three seconds."""
    parts = urllib.parse.urlsplit(url)
    request = urllib.request.Request(f"{parts.scheme}://{parts.netloc}/", method="HEAD")
    answers = []

    def ask():
        try:
            urllib.request.urlopen(request, timeout=_SECONDS).close()
            answers.append(True)
        except urllib.error.HTTPError as error:
            # A refusal is an answer too, but a proxy's "bad gateway" is not the server's.
            answers.append(error.code < 500)
        except (OSError, ValueError):
            answers.append(False)

    # The look-up of a name has no time limit of its own, so a thread does it and is left behind.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(_SECONDS)
    return answers == [True]

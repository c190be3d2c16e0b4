"""An http server on this machine that misbehaves as told, and counts what it sends.

What behaviours call `tag` names a version of the content: an entity tag, or a date.
"""

import contextlib
import gzip
import hashlib
import http.server
import re
import socket
import struct
import threading

import numpy as np

CONTENT = np.random.default_rng(0).bytes(200_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
OTHER = np.random.default_rng(1).bytes(200_000)


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers by the next of the server's behaviours, the last one again and again."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        server = self.server
        server.requests.append((self.path, dict(self.headers)))
        self.close_connection = True
        behave = server.behaviours[0]
        if len(server.behaviours) > 1:
            server.behaviours.pop(0)
        with contextlib.suppress(ConnectionError):
            behave(self)

    def start(self):
        """Return the first byte of the range that was asked for, 0 where none was."""
        found = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        return int(found[1]) if found else 0

    def head(self, status, headers):
        self.send_response(status)
        for name, value in {"Connection": "close", **headers}.items():
            self.send_header(name, str(value))
        self.end_headers()

    def give(self, body):
        self.wfile.write(body)
        self.wfile.flush()
        self.server.n_bytes += len(body)

    def log_message(self, *_):
        pass


def ranged(handler, content, tag, n_total=None, most=None):
    """Send the head of an answer to a range as a server should; return the body.

    `n_total` is the total that it states, `most` the bytes that it gives of a range.
    """
    start = handler.start()
    known = handler.headers.get("If-Range", tag) == tag
    headers = {"ETag" if '"' in tag else "Last-Modified": tag} if tag else {}
    if not start or not known:
        handler.head(200, {**headers, "Content-Length": len(content)})
        return content
    if start >= len(content):
        handler.head(416, {"Content-Range": f"bytes */{len(content)}", "Content-Length": 0})
        return b""
    body = content[start:][:most]
    stated = f"bytes {start}-{start + len(body) - 1}/{n_total or len(content)}"
    handler.head(206, {**headers, "Content-Range": stated, "Content-Length": len(body)})
    return body


def whole(content=CONTENT, tag='"v1"'):
    """Give all that is asked for."""
    return lambda handler: handler.give(ranged(handler, content, tag))


def cut(n_bytes, content=CONTENT, tag='"v1"'):
    """Promise all that is asked for, and close the connection after some bytes."""
    return lambda handler: handler.give(ranged(handler, content, tag)[:n_bytes])


def ranged_of_unsaid_total(handler):
    """Give a range, and an asterisk for the size of the whole: RFC 9110, section 14.4."""
    handler.give(ranged(handler, CONTENT, '"v1"', n_total="*"))


def part_of_range(most):
    """Give so many bytes of a range at most, and say so, see RFC 9110, section 15.3.7."""
    return lambda handler: handler.give(ranged(handler, CONTENT, '"v1"', most=most))


def reset(n_bytes=None):
    """Break the connection, after some bytes or before any word."""

    def behave(handler):
        if n_bytes is not None:
            handler.give(ranged(handler, CONTENT, '"v1"')[:n_bytes])
        handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        # Closed here: the server's own end of a connection is a gentle one.
        handler.connection.close()

    return behave


def status(code, body=b"", **headers):
    """Answer with a status."""

    def behave(handler):
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        handler.head(code, {**named, "Content-Length": len(body)})
        handler.give(body)

    return behave


def hesitant(code, body, **headers):
    """Answer with a status, some bytes, and the rest a little later."""

    def behave(handler):
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        handler.head(code, {**named, "Content-Length": len(body)})
        handler.give(body[:5])
        handler.server.stopped.wait(0.1)
        handler.give(body[5:])

    return behave


def unranged(content=CONTENT, cut_at=None):
    """Know no ranges, tags or dates: all of it, each time."""

    def behave(handler):
        handler.head(200, {"Content-Length": len(content)})
        handler.give(content[:cut_at])

    return behave


def mismeasured(handler):
    """Give all of it, and a length that is a digit to Python and a number to nobody."""
    handler.head(200, {"Content-Length": "\u00b2"})
    handler.give(CONTENT)


def packed(cut_at=None):
    """Pack the content on the way, and know no ranges of it."""

    def behave(handler):
        body = gzip.compress(CONTENT)
        handler.head(200, {"ETag": '"v1"', "Content-Encoding": "gzip", "Content-Length": len(body)})
        handler.give(body[:cut_at])

    return behave


def lying(kind):
    """Answer a range with something that is none of it."""

    def behave(handler):
        start = handler.start()
        length = len(CONTENT) - start
        stated, body = {
            "another start": (f"bytes 0-{length - 1}/{len(CONTENT)}", CONTENT[:length]),
            "bytes of the beginning": (
                f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}",
                CONTENT[:length],
            ),
            "another total": (f"bytes {start}-{len(CONTENT) - 1}/{length}", CONTENT[start:]),
            "no range stated": ("", CONTENT[start:]),
        }[kind]
        handler.head(206, {"Content-Range": stated, "Content-Length": len(body)})
        handler.give(body)

    return lambda handler: behave(handler) if handler.start() else whole()(handler)


def trickle(n_bytes, seconds):
    """Give some bytes at a time, and wait between them."""

    def behave(handler):
        body = ranged(handler, CONTENT, '"v1"')
        for at in range(0, len(body), n_bytes):
            handler.give(body[at : at + n_bytes])
            if handler.server.stopped.wait(seconds):
                break

    return behave


def silent(handler):
    """Say nothing at all."""
    handler.server.stopped.wait(5)


def chunked(n_chunks, ends):
    """Give pieces of unsaid number; `ends` says whether the last one is marked as such."""

    def behave(handler):
        handler.head(200, {"Transfer-Encoding": "chunked"})
        for piece in np.array_split(np.frombuffer(CONTENT, np.uint8), 10)[:n_chunks]:
            handler.give(b"%x\r\n%b\r\n" % (piece.size, piece.tobytes()))
        if ends:
            handler.give(b"0\r\n\r\n")

    return behave


def endless(handler):
    """Give more and more."""
    handler.head(200, {})
    while not handler.server.stopped.is_set():
        handler.give(bytes(100_000))


@contextlib.contextmanager
def misbehaving(*behaviours):
    """Run a server with these behaviours; it records `requests` and `n_bytes` of content."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.handle_error = lambda *_: None
    server.behaviours, server.requests, server.n_bytes = list(behaviours), [], 0
    server.url = f"http://127.0.0.1:{server.server_port}"
    server.stopped = threading.Event()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.stopped.set()
        server.shutdown()
        thread.join()
        server.server_close()

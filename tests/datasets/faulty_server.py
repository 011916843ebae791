"""A server that cuts, refuses, lies and stumbles."""

import contextlib
import hashlib
import http.server
import io
import threading
import zipfile
from types import SimpleNamespace

import numpy as np

BLOCK = 65536  # a downloader writes whole blocks
DATA = np.random.default_rng(0).bytes(23 * BLOCK - 11)
SHA = "sha256:" + hashlib.sha256(DATA).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves ``server.files``; ``server.faults`` says what goes wrong in the next answers, by path."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_GET(self):
        path = self.path.partition("?")[0].lstrip("/")
        fault = self.server.faults.get(path, []).pop(0) if self.server.faults.get(path) else {}
        asked = self.headers.get("Range")
        data = self.server.files.get(path)
        entry = SimpleNamespace(path=path, range=asked, if_range=self.headers.get("If-Range"), status=0, sent=0)
        self.server.log.append(entry)
        self.close_connection = True
        if fault.get("status") or data is None:
            entry.status = fault.get("status", 404)
            self.send_response(entry.status)
            for name, value in fault.get("headers", {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        etag = fault.get("etag", self.server.etag)
        start = int(asked[6:-1]) if asked and not fault.get("no_range") else 0
        if start and entry.if_range != etag:
            start = 0
        entry.status = 206 if start else 200
        self.send_response(entry.status)
        if etag:
            self.send_header("ETag", etag)
        if start:
            self.send_header("Content-Range", fault.get("content_range", f"bytes {start}-{len(data) - 1}/{len(data)}"))
        if not fault.get("no_length"):
            self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        body = data[start:][: fault.get("cut")]
        self.wfile.write(body)
        self.wfile.flush()
        entry.sent = len(body)
        if "cut" in fault:
            self.connection.shutdown(2)


@contextlib.contextmanager
def serving():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        httpd.daemon_threads = True
        httpd.files, httpd.faults, httpd.log, httpd.etag = {"a.zip": DATA}, {}, [], '"v1"'
        httpd.url = f"http://127.0.0.1:{httpd.server_port}"
        thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield httpd
        httpd.shutdown()
        thread.join()


def packed(files, folder=""):
    """A zip archive of names and bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files.items():
            archive.writestr(name if isinstance(name, zipfile.ZipInfo) else folder + name, data)
    return buffer.getvalue()


def names(folder):
    return sorted(path.name for path in folder.iterdir())

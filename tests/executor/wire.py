"""A way to an engine of which one kind of connection can be cut, by how it begins."""

import contextlib
import socket
import threading

import httpx


class Wire:
    """A TCP relay whose websocket connections can be cut."""

    def __init__(self, url):
        target = httpx.URL(url)
        self._target = (target.host, target.port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._ends = []
        self._threads = []
        self._go(self._accept)

    def _go(self, work, *arguments):
        thread = threading.Thread(target=work, args=arguments)
        self._threads.append(thread)
        thread.start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(self._target)
                self._ends.append((near, far, near.recv(6, socket.MSG_PEEK | socket.MSG_WAITALL)))
                self._go(self._pump, near, far)
                self._go(self._pump, far, near)

    def _pump(self, source, sink):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)

    def cut(self, beginning=b"GET /w"):
        for near, far, first in self._ends:
            if first.startswith(beginning):
                for end in (near, far):
                    with contextlib.suppress(OSError):
                        end.shutdown(socket.SHUT_RDWR)

    def close(self):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut(b"")
        for thread in self._threads:
            thread.join()
        for near, far, _ in self._ends:
            near.close()
            far.close()

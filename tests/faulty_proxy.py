"""Stands before a server on loopback and passes requests on, or answers as a server in trouble does."""

import http.client
import http.server
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

Fault = Literal["none", "500", "503", "slow", "cut", "cut_after"]
"""`cut` breaks the connection before the server hears of a request, `cut_after` when it has done what it was asked."""

DELAY_S = 0.5


@dataclass
class Proxy:
    """`choose` says what happens to a request, from its method and path; `seen` is what has happened."""

    endpoint: str
    choose: Callable[[str, str], Fault] = lambda method, path: "none"
    seen: list[tuple[str, str, Fault]] = field(default_factory=list)

    @property
    def faults(self) -> list[Fault]:
        """Those that happened."""
        return [fault for _, _, fault in self.seen if fault != "none"]


@contextmanager
def before(server: str) -> Iterator[Proxy]:
    """A proxy before a server at `http://127.0.0.1:PORT`."""
    proxy = Proxy("")

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def answer(self) -> None:
            fault = proxy.choose(self.command, self.path)
            proxy.seen.append((self.command, self.path, fault))
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if fault in ("500", "503"):
                self.send_error(int(fault))
                return
            if fault == "slow":
                time.sleep(DELAY_S)
            if fault != "cut":
                self._pass_on(body, is_answered=fault != "cut_after")
            if fault.startswith("cut"):
                self.close_connection = True

        def _pass_on(self, body: bytes, is_answered: bool) -> None:
            connection = http.client.HTTPConnection(server.removeprefix("http://"), timeout=30)
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                connection.putheader(name, value)
            connection.endheaders(body)
            response = connection.getresponse()
            data = response.read()
            connection.close()
            if not is_answered:
                return
            self.send_response_only(response.status)
            for name, value in response.getheaders():
                if name.lower() not in ("transfer-encoding", "connection", "content-length"):
                    self.send_header(name, value)
            length = response.getheader("Content-Length") if self.command == "HEAD" else str(len(data))
            self.send_header("Content-Length", length or "0")
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = do_HEAD = answer

        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listener:
        listener.daemon_threads = True
        proxy.endpoint = f"http://127.0.0.1:{listener.server_address[1]}"
        threading.Thread(target=listener.serve_forever, args=(0.05,), daemon=True).start()
        yield proxy
        listener.shutdown()

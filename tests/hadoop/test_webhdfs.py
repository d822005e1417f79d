"""`hadoop fs` without a JVM, against a NameNode that is a few lines of Python."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from tools.hadoop import webhdfs


class NameNode(BaseHTTPRequestHandler):
    """Files in a dict, and each data operation by way of a redirect, as DataNodes serve it."""

    files: dict[str, bytes]

    def answer(self, status: int, body: bytes = b"{}", **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def handle_one(self) -> None:
        parts = urlsplit(self.path)
        path, query = unquote(parts.path).removeprefix("/webhdfs/v1"), parse_qs(parts.query)
        operation = query["op"][0]
        assert query["user.name"] == ["me"]
        if operation in ("CREATE", "OPEN") and "there" not in query:
            if operation == "OPEN" and path not in self.files:
                self.answer(404)
            else:
                self.answer(307, Location=f"http://{self.headers['Host']}{self.path}&there=1")
        elif operation == "CREATE":
            self.files[path] = self.rfile.read(int(self.headers["Content-Length"]))
            self.answer(201)
        elif operation == "OPEN":
            self.answer(200, self.files[path])
        else:
            self.answer(*self.metadata(operation, path, query))

    def metadata(self, operation: str, path: str, query: dict[str, list[str]]) -> tuple[int, bytes]:
        inside = [name for name in self.files if name.startswith(path.rstrip("/") + "/")]
        if operation == "GETFILESTATUS":
            kind = "FILE" if path in self.files else "DIRECTORY" if inside else None
            return (200, json.dumps({"FileStatus": {"type": kind}}).encode()) if kind else (404, b"{}")
        if operation == "LISTSTATUS":
            listed = [self.status(name, path) for name in inside or [path] if name in self.files]
            return (200, json.dumps({"FileStatuses": {"FileStatus": listed}}).encode()) if listed else (404, b"{}")
        if operation == "RENAME":
            self.files[query["destination"][0]] = self.files.pop(path)
        if operation == "DELETE":
            for name in [path, *inside]:
                self.files.pop(name, None)
        return 200, b'{"boolean": true}'

    def status(self, name: str, below: str) -> dict[str, Any]:
        facts = {"permission": "644", "replication": 1, "owner": "me", "group": "us", "modificationTime": 0}
        suffix = name[len(below.rstrip("/")) + 1 :] if name != below else ""
        return {**facts, "type": "FILE", "pathSuffix": suffix, "length": len(self.files[name])}

    do_GET = do_PUT = do_DELETE = handle_one  # noqa: N815 - the names that the server asks for

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def namenode(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    NameNode.files = {"/data/b": b"two\n", "/data/a": b"one\n"}
    server = ThreadingHTTPServer(("127.0.0.1", 0), NameNode)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("HADOOP_USER_NAME", "me")
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


class AskedJavaError(Exception):
    pass


@pytest.fixture
def fs(namenode: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    def java(program: str, words: list[str]) -> None:
        raise AskedJavaError(words)

    monkeypatch.setattr(webhdfs, "_java", java)
    return lambda *words: webhdfs.main(namenode, "hadoop", [str(word) for word in words])


@pytest.fixture
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def test_files_go_and_come_back(fs: Any, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    (tmp_path / "new").write_bytes(b"three\n" * 1000)
    assert fs("-put", tmp_path / "new", "/data") == 0
    assert fs("-put", "-f", tmp_path / "new", "hdfs:///other") == 0
    assert NameNode.files["/data/new"] == NameNode.files["/other"] == b"three\n" * 1000
    assert fs("-cat", "/data/a", "/data/b", "/other") == 0
    assert capfdbinary.readouterr().out == b"one\ntwo\n" + b"three\n" * 1000


def test_lists_are_those_of_hadoop(fs: Any, utc: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert fs("-ls", "-C", "hdfs:///data") == 0
    assert capsys.readouterr().out == "hdfs:///data/a\nhdfs:///data/b\n"
    assert fs("-ls", "/data") == 0
    assert capsys.readouterr().out.splitlines() == [
        "Found 2 items",
        "-rw-r--r--   1 me us          4 1970-01-01 00:00 /data/a",
        "-rw-r--r--   1 me us          4 1970-01-01 00:00 /data/b",
    ]
    assert fs("-ls", "/data/a") == 0
    assert capsys.readouterr().out == "-rw-r--r--   1 me us          4 1970-01-01 00:00 /data/a\n"


def test_folders_tests_moves_and_removals(fs: Any) -> None:
    assert fs("-mkdir", "-p", "/new/folder") == 0
    assert fs("-test", "-e", "/data/a") == 0
    assert fs("-mv", "/data/a", "hdfs:///moved") == 0
    assert fs("-rm", "-r", "-f", "-skipTrash", "/data") == 0
    assert NameNode.files == {"/moved": b"one\n"}


@pytest.mark.parametrize(
    "words",
    [
        ("-cat", "/nothing"),
        ("-test", "-e", "/nothing"),
        ("-ls", "/data/*"),
        ("-ls", "hdfs://elsewhere:9000/data"),
        ("-ls", "file:///tmp"),
        ("-ls", "-h", "/data"),
        ("-du", "/data"),
        ("-rm", "/data/a"),
        ("-put", "/no/such/file", "/data"),
        ("-cat",),
        (),
    ],
)
def test_all_else_is_left_to_java_untouched(fs: Any, words: tuple[str, ...], capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(AskedJavaError) as asked:
        fs(*words)
    assert asked.value.args[0] == list(words)
    assert NameNode.files == {"/data/b": b"two\n", "/data/a": b"one\n"}
    assert capfd.readouterr().out == ""

"""The everyday part of `hadoop fs` by WebHDFS, in a twentieth of the time that a JVM takes to start.

bin/hadoop calls this file with the NameNode's web address, itself and the words behind `fs`. What it does not know (a
pattern, another file system, an option) and whatever does not go well is done by Java instead, which also says what was
wrong.
"""

from __future__ import annotations

import http.client
import json
import os
import sys
from collections.abc import Callable
from datetime import datetime
from typing import IO, Any, NoReturn
from urllib.parse import quote, urlsplit

PIECE = 1 << 20
FLAGS = {"-mkdir": {"-p"}, "-put": {"-f"}, "-ls": {"-R", "-C"}, "-cat": set(), "-test": {"-e"}, "-mv": set()}
FLAGS["-rm"] = {"-r", "-R", "-f", "-skipTrash"}


class LeftToJavaError(Exception):
    """Something for the real client."""


class WebHdfs:
    """The NameNode's web server at host:port, asked as a user."""

    def __init__(self, address: str, user: str) -> None:
        self.address, self.user = address, user

    def path(self, uri: str) -> str:
        """The path that a URI of this file system names."""
        if any(mark in uri for mark in "*?[{\\"):
            raise LeftToJavaError(uri)
        parts = urlsplit(uri)
        if parts.scheme not in ("", "hdfs") or parts.netloc:
            raise LeftToJavaError(uri)
        return parts.path if parts.path.startswith("/") else f"/user/{self.user}/{parts.path}"

    def ask(self, method: str, uri: str, query: str, body: IO[bytes] | None = None) -> http.client.HTTPResponse:
        """The answer of the NameNode, or of the DataNode that it sends to; LeftToJavaError where it is no success."""
        target = f"/webhdfs/v1{quote(self.path(uri))}?op={query}&user.name={self.user}"
        response = self._request(method, self.address, target, None)
        if response.status == 307:
            response.read()
            there = urlsplit(response.headers["Location"])
            response = self._request(method, there.netloc, f"{there.path}?{there.query}", body)
        if response.status >= 300:
            response.read()
            raise LeftToJavaError(f"{uri}: {response.status}")
        return response

    def json(self, method: str, uri: str, query: str) -> Any:
        """The answer as JSON."""
        return json.loads(self.ask(method, uri, query).read())

    @staticmethod
    def _request(method: str, address: str, target: str, body: IO[bytes] | None) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection(address, timeout=120)
        headers = {"Connection": "close"}
        if body is not None:
            headers["Content-Length"] = str(os.fstat(body.fileno()).st_size)
        connection.request(method, target, body, headers)
        return connection.getresponse()


def mkdir(hdfs: WebHdfs, flags: set[str], names: list[str]) -> int:
    """-mkdir -p FOLDER ..."""
    if "-p" not in flags:
        raise LeftToJavaError("mkdir without -p")
    for name in names:
        hdfs.json("PUT", name, "MKDIRS")
    return 0


def put(hdfs: WebHdfs, flags: set[str], names: list[str]) -> int:
    """-put [-f] FILE ... TARGET, to a name that is new, or into a folder."""
    *files, target = names
    if not files or not all(os.path.isfile(file) for file in files):
        raise LeftToJavaError("put of other things than files")
    into = _is_folder(hdfs, target)
    if len(files) > 1 and not into:
        raise LeftToJavaError(f"{target}: no folder")
    for file in files:
        name = f"{target.rstrip('/')}/{os.path.basename(file)}" if into else target
        with open(file, "rb") as stream:
            hdfs.ask("PUT", name, f"CREATE&overwrite={str('-f' in flags).lower()}", stream).read()
    return 0


def ls(hdfs: WebHdfs, flags: set[str], names: list[str]) -> int:
    """-ls [-R | -C] NAME ..., in the words of Hadoop."""
    lines: list[str] = []
    for name in names:
        lines += _listed(hdfs, name, flags)
    print("\n".join(lines), end="\n" if lines else "")
    return 0


def cat(hdfs: WebHdfs, flags: set[str], names: list[str]) -> int:
    """-cat FILE ..."""
    answers = [hdfs.ask("GET", name, "OPEN") for name in names]  # all of them, before the first byte is out
    for answer in answers:
        while piece := answer.read(PIECE):
            sys.stdout.buffer.write(piece)
    return 0


def rm(hdfs: WebHdfs, flags: set[str], names: list[str]) -> int:
    """-rm -r -f -skipTrash NAME ..."""
    if not {"-f", "-skipTrash"} <= flags:
        raise LeftToJavaError("rm that asks or keeps")
    recursive = bool(flags & {"-r", "-R"})
    for name in names:
        hdfs.json("DELETE", name, f"DELETE&recursive={str(recursive).lower()}")
    return 0


def test(hdfs: WebHdfs, flags: set[str], names: list[str]) -> int:
    """-test -e NAME: found; where it is not, Java says so too."""
    if flags != {"-e"}:
        raise LeftToJavaError("another test")
    for name in names:
        hdfs.json("GET", name, "GETFILESTATUS")
    return 0


def mv(hdfs: WebHdfs, flags: set[str], names: list[str]) -> int:
    """-mv NAME NEW, to a name that is not there."""
    if len(names) != 2:
        raise LeftToJavaError("mv of several")
    if not hdfs.json("PUT", names[0], f"RENAME&destination={quote(hdfs.path(names[1]))}")["boolean"]:
        raise LeftToJavaError(f"{names[0]}: not moved")
    return 0


Command = Callable[[WebHdfs, set[str], list[str]], int]
COMMANDS: dict[str, Command] = {
    "-mkdir": mkdir, "-put": put, "-ls": ls, "-cat": cat, "-rm": rm, "-test": test, "-mv": mv
}  # fmt: skip


def main(address: str, program: str, words: list[str]) -> int:
    """Do it here, or let Java."""
    name, rest = (words[0], words[1:]) if words else ("", [])
    flags, names = {word for word in rest if word.startswith("-")}, [word for word in rest if not word.startswith("-")]
    if name not in COMMANDS or not flags <= FLAGS[name] or not names:
        _java(program, words)
    hdfs = WebHdfs(address, os.environ["HADOOP_USER_NAME"])
    try:
        status = COMMANDS[name](hdfs, flags, names)
        sys.stdout.flush()
        return status
    except (LeftToJavaError, OSError, http.client.HTTPException, KeyError, ValueError):
        _java(program, words)


def _java(program: str, words: list[str]) -> NoReturn:
    os.environ["HADOOP_FS_BY_JAVA"] = "1"
    os.execv(program, [program, "fs", *words])


def _is_folder(hdfs: WebHdfs, name: str) -> bool:
    try:
        return bool(hdfs.json("GET", name, "GETFILESTATUS")["FileStatus"]["type"] == "DIRECTORY")
    except LeftToJavaError:
        return False


def _listed(hdfs: WebHdfs, name: str, flags: set[str]) -> list[str]:
    prefix = name[: -len(urlsplit(name).path)] if "://" in name else ""
    folder = hdfs.path(name)
    found = hdfs.json("GET", folder, "LISTSTATUS")["FileStatuses"]["FileStatus"]
    lines = [] if {"-R", "-C"} & flags or not found or not found[0]["pathSuffix"] else [f"Found {len(found)} items"]
    for status in sorted(found, key=lambda status: status["pathSuffix"]):
        path = f"{folder.rstrip('/')}/{status['pathSuffix']}" if status["pathSuffix"] else folder
        lines.append(prefix + path if "-C" in flags else _line(status, prefix + path))
        if "-R" in flags and status["type"] == "DIRECTORY":
            lines += _listed(hdfs, prefix + path, flags)
    return lines


def _line(status: dict[str, Any], path: str) -> str:
    """As `hadoop fs -ls` shows a file."""
    folder = status["type"] == "DIRECTORY"
    bits = int(status["permission"], 8)
    rights = "".join(letter if bits >> (8 - i) & 1 else "-" for i, letter in enumerate("rwxrwxrwx"))
    when = datetime.fromtimestamp(status["modificationTime"] / 1000).strftime("%Y-%m-%d %H:%M")
    copies = "-" if folder else str(status["replication"])
    size = f"{status['length']:>10}"
    return f"{'d' if folder else '-'}{rights} {copies:>3} {status['owner']} {status['group']} {size} {when} {path}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3:]))

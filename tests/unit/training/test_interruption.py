"""SIGTERM is to a command what Ctrl-C is, and to nobody else."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from training.commands.interruption import stopping_in_order


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    """As a process has them that was not told to ignore any, as under `nohup`; what the test runner listens to is as before afterwards."""
    ordinary = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL, signal.SIGHUP: signal.SIG_DFL}
    before = {number: signal.signal(number, handler) for number, handler in ordinary.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def told(number: signal.Signals, ended: list[str], *, then: signal.Signals = signal.SIGTERM) -> None:
    """A command that takes its time to end; by default as Ctrl-C on `mlflow run` makes it end, which sends its own SIGTERM."""
    try:
        signal.raise_signal(number)
    except KeyboardInterrupt as exc:
        signal.raise_signal(then)
        ended.append(str(exc))
        raise


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)])
def test_a_command_that_is_told_to_stop_says_so_and_ends_by_the_signals_code(
    number: signal.Signals, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    before = signal.getsignal(number)
    ended: list[str] = []
    with pytest.raises(SystemExit) as left, stopping_in_order():
        told(number, ended)
    assert (left.value.code, ended) == (code, [f"interrupted ({number.name})"])
    assert f"stopped: interrupted ({number.name})" in capsys.readouterr().err
    assert signal.getsignal(number) is before


def test_a_second_ctrl_c_ends_the_ending() -> None:
    ended: list[str] = []
    with pytest.raises(SystemExit) as left, stopping_in_order():
        told(signal.SIGTERM, ended, then=signal.SIGINT)
    assert (left.value.code, ended) == (143, [])


def test_what_is_ignored_stays_ignored() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with stopping_in_order():
        signal.raise_signal(signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_elsewhere_than_in_the_main_thread_nothing_is_taken_over() -> None:
    def handlers() -> tuple[object, object]:
        with stopping_in_order():
            return signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)

    expected = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(handlers).result() == expected

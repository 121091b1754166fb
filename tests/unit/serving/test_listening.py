"""What cannot be listened on is refused in one sentence that says what to do, before anything is started."""

from __future__ import annotations

import socket

import pytest

from serving.cli.faults import BadInputError
from serving.cli.listening import AlreadyRunningError, numeric_address, refuse_if_taken
from serving.cli.processes import free_port

LOOPBACK = "127.0.0.1"
DOCUMENTATION = "192.0.2.77"  # RFC 5737: no machine has it, at least not this number


def test_a_name_is_looked_up_since_bentoml_takes_addresses_alone():
    assert numeric_address("localhost") in {LOOPBACK, "::1"}


@pytest.mark.parametrize("host", ["", " ", "no address", "a" * 300 + ".invalid"])
def test_what_is_no_address_is_refused_with_those_that_are(host):
    with pytest.raises(BadInputError, match=r"got no address .* give 127\.0\.0\.1 \(this machine alone\), 0\.0\.0\.0 \(others too\)"):
        numeric_address(host)


def test_an_address_of_another_machine_is_not_called_a_taken_port():
    with pytest.raises(BadInputError, match=rf"--host {DOCUMENTATION}: this machine does not have that address; give 127"):
        refuse_if_taken(DOCUMENTATION, {"--port": free_port()})


@pytest.mark.parametrize("address", [LOOPBACK, "0.0.0.0"])
def test_a_port_that_is_taken_is_named_with_the_option_that_changes_it(address):
    with socket.create_server((LOOPBACK, 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(AlreadyRunningError, match=rf"port {port} of {address} is taken: .* choose another port with --mlflow-port"):
            refuse_if_taken(address, {"--port": free_port(), "--mlflow-port": port})
    refuse_if_taken(address, {"--port": free_port(), "--mlflow-port": port})


def test_one_port_for_two_pages_is_refused():
    port = free_port()
    with pytest.raises(BadInputError, match="--port and --mlflow-port are the same port"):
        refuse_if_taken(LOOPBACK, {"--port": port, "--mlflow-port": port})

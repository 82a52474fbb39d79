import os
import socket

import pytest

from local_cloud.ports import take_port
from local_cloud.settings import LocalCloudError


def test_a_busy_port_is_told_with_its_holder_and_the_way_out() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        with pytest.raises(LocalCloudError, match=rf"port {port} .*choose another with --port") as caught:
            take_port(port, "--port")
    assert str(os.getpid()) in str(caught.value) or "another process" in str(caught.value)


def test_a_number_that_is_no_port_is_told() -> None:
    with pytest.raises(LocalCloudError, match="from 1 to 65535"):
        take_port(80_000, "--api-port")

"""Sockets taken before anything else starts, so that a busy port is told at once and by its holder's name."""

import socket

import psutil

from local_cloud.settings import HOST, LocalCloudError


def take_port(port: int, option: str) -> socket.socket:
    """Return a listening socket on 127.0.0.1:``port``.

    Args:
        port: the port number.
        option: the command line option that chose it, for the error message.

    Raises:
        LocalCloudError: the port is busy or not ours to take; the message says who holds it and what to do.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
        listener.listen(128)
    except (OSError, OverflowError) as error:
        listener.close()
        raise LocalCloudError(
            f"port {port} on {HOST} cannot be used ({_reason(port, error)}): choose another with {option}, or free it"
        ) from error
    return listener


def _reason(port: int, error: OSError | OverflowError) -> str:
    if isinstance(error, OverflowError):
        return "ports go from 1 to 65535"
    return f"{error.strerror}; {_holder(port)}"


def _holder(port: int) -> str:
    """Say which process listens on the port, as far as this user may know."""
    try:
        for connection in psutil.net_connections("tcp"):
            listens = connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port
            if listens and connection.pid:
                return f"held by process {connection.pid} ({psutil.Process(connection.pid).name()})"
    except psutil.Error:
        # macOS shows other processes' sockets to root only; the port number alone is help enough.
        return "held by another process"
    return "held by another process"

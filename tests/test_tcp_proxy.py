"""What the proxy does to a connection, seen from both of its ends."""

import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.tcp_proxy import TcpProxy


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        yield listener


@pytest.fixture
def proxy(listener) -> Iterator[TcpProxy]:
    with TcpProxy(f"127.0.0.1:{listener.getsockname()[1]}") as proxy:
        yield proxy


def dial(proxy: TcpProxy) -> socket.socket:
    host, _, port = proxy.address.rpartition(":")
    return socket.create_connection((host, int(port)), timeout=10)


@pytest.fixture
def ends(proxy, listener) -> Iterator[tuple[socket.socket, socket.socket]]:
    """The client's and the server's end of one connection."""
    with dial(proxy) as client, listener.accept()[0] as server:
        server.settimeout(10)
        yield client, server


def nothing_comes(end: socket.socket) -> bool:
    end.settimeout(0.1)
    try:
        end.recv(1)
    except TimeoutError:
        return True
    finally:
        end.settimeout(10)
    return False


def refused(proxy: TcpProxy) -> None:
    """The reset may be faster than the dialling."""
    with pytest.raises(ConnectionResetError), dial(proxy) as client:
        client.recv(1)


def read_all(end: socket.socket) -> bytes:
    parts = []
    while part := end.recv(2**16):
        parts.append(part)
    return b"".join(parts)


def test_bytes_and_both_ends_of_the_stream_pass(ends):
    client, server = ends
    request, reply = bytes(range(256)) * 40_000, bytes(reversed(range(256))) * 40_000
    with ThreadPoolExecutor() as pool:
        received = pool.submit(read_all, server)
        client.sendall(request)
        client.shutdown(socket.SHUT_WR)
        assert received.result() == request
        received = pool.submit(read_all, client)
        server.sendall(reply)
        server.shutdown(socket.SHUT_WR)
        assert received.result() == reply


def test_delayed_bytes_come_later(proxy, ends):
    client, server = ends
    proxy.delay(0.2)
    sent = time.monotonic()
    client.sendall(b"late")
    assert server.recv(4) == b"late"
    assert time.monotonic() - sent >= 0.2


def test_frozen_bytes_and_ends_come_when_it_passes_again(proxy, listener, ends):
    client, server = ends
    proxy.freeze()
    server.sendall(b"held")
    server.shutdown(socket.SHUT_WR)
    assert nothing_comes(client)
    with dial(proxy) as late:
        late.sendall(b"held too")
        proxy.pass_on()
        with listener.accept()[0] as accepted:
            assert accepted.recv(8) == b"held too"
    assert (client.recv(4), client.recv(1)) == (b"held", b"")


def test_a_reset_is_held_back_by_a_freeze(proxy, ends):
    client, server = ends
    proxy.freeze()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, bytes([1, 0, 0, 0, 0, 0, 0, 0]))
    server.close()
    assert nothing_comes(client)
    proxy.pass_on()
    with pytest.raises(ConnectionResetError):
        client.recv(1)


def test_drop_resets_everybody_until_it_passes_again(proxy, listener, ends):
    client, server = ends
    proxy.drop()
    for end in (client, server):
        with pytest.raises(ConnectionResetError):
            end.recv(1)
    refused(proxy)
    proxy.pass_on()
    with dial(proxy) as client, listener.accept()[0] as server:
        client.sendall(b"again")
        assert server.recv(5) == b"again"


def test_cut_resets_only_the_present_connections(proxy, listener, ends):
    client, server = ends
    proxy.cut()
    for end in (client, server):
        with pytest.raises(ConnectionResetError):
            end.recv(1)
    with dial(proxy) as client, listener.accept()[0] as server:
        server.sendall(b"anew")
        assert client.recv(4) == b"anew"


def test_truncate_counts_what_the_server_says(proxy, ends):
    client, server = ends
    server.sendall(b"before")
    assert client.recv(6) == b"before"
    proxy.truncate(3)
    client.sendall(b"a long question")
    assert server.recv(15) == b"a long question"
    server.sendall(b"answer")
    assert client.recv(6) == b"ans"
    with pytest.raises(ConnectionResetError):
        client.recv(1)


def test_a_target_that_is_not_there_resets_the_client(proxy, listener):
    listener.close()
    refused(proxy)


def test_it_ends_with_frozen_connections_and_from_any_thread(proxy, ends):
    threads = [threading.Thread(target=switch) for switch in (proxy.pass_on, proxy.cut, proxy.freeze) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    proxy.freeze()
    assert not any(thread.is_alive() for thread in threads)

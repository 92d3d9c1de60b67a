#!/usr/bin/env python3
"""Sends requests at a fixed rate.

`offer.py PORT RATE SECONDS IMAGES` sends POST /predict with this number of raw images RATE times per second,
whether the answers arrive or not, on as many connections as necessary; with RATE 0 four clients each send the
next request when the last is answered. Prints a JSON object: the number of requests sent, the answers by
status, 503s without Retry-After, broken connections, connections at the end, and answers with 200 per second.
Runs in a process of its own; not a test by itself.
"""
import collections
import json
import selectors
import socket
import subprocess
import sys
import time

MOST_CONNECTIONS = 400
WAITING_CLIENTS = 4


def offer(port, rate, seconds, images):
    """The output of such a process at its end."""
    process = subprocess.run([sys.executable, __file__, str(port), str(rate), str(seconds),
                              str(images)], stdout=subprocess.PIPE, timeout=60 + 2 * seconds,
                             check=True)
    return json.loads(process.stdout)


class Client:
    """One connection, with or without a request in progress."""

    def __init__(self, port):
        self.sock = socket.create_connection(("127.0.0.1", port))
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.setblocking(False)
        self.left, self.data = b"", b""

    def write(self):
        try:
            self.left = self.left[self.sock.send(self.left):]
        except BlockingIOError:
            pass

    def read(self):
        """(status, headers) of a complete answer, None before that, "gone" at the end of the connection."""
        try:
            part = self.sock.recv(1 << 20)
        except BlockingIOError:
            return None
        if part == b"":
            return "gone"
        self.data += part
        head, end, body = self.data.partition(b"\r\n\r\n")
        headers = dict(x.lower().split(b": ", 1) for x in head.split(b"\r\n")[1:])
        if not end or len(body) < int(headers.get(b"content-length", 0)):
            return None
        self.data = b""
        return int(head.split(b" ")[1]), headers


class Offer:
    def __init__(self, port, request):
        self.port, self.request = port, memoryview(request)
        self.selector = selectors.DefaultSelector()
        self.idle, self.count = [], 0
        self.statuses = collections.Counter()
        self.sent = self.broken = self.no_retry = 0
        self.good = []

    def send(self):
        if self.idle:
            client = self.idle.pop()
        elif self.count < MOST_CONNECTIONS:
            client = Client(self.port)
            self.count += 1
            self.selector.register(client.sock, selectors.EVENT_READ, client)
        else:
            return  # due, but all connections are gone
        self.sent += 1
        client.left = self.request
        self.flush(client)

    def flush(self, client):
        try:
            client.write()
        except OSError:
            self.broken += 1
            self.drop(client)
            return
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if client.left else 0)
        self.selector.modify(client.sock, events, client)

    def drop(self, client):
        self.selector.unregister(client.sock)
        client.sock.close()
        self.count -= 1

    def take(self, client):
        try:
            answer = client.read()
        except OSError:
            answer = "gone"
        if answer is None:
            return
        if answer == "gone":
            if client in self.idle:
                self.idle.remove(client)
            else:
                self.broken += 1
            self.drop(client)
            return
        status, headers = answer
        self.statuses[status] += 1
        if status == 200:
            self.good.append(time.monotonic())
        elif b"retry-after" not in headers:
            self.no_retry += 1
        if headers.get(b"connection") == b"close":
            self.drop(client)
        else:
            client.left = b""
            self.idle.append(client)

    def step(self, timeout):
        for key, events in self.selector.select(timeout):
            if key.data.left and events & selectors.EVENT_WRITE:
                self.flush(key.data)
            if events & selectors.EVENT_READ and key.data.sock.fileno() >= 0:
                self.take(key.data)


def main():
    port, rate, seconds, images = int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3]), int(
        sys.argv[4])
    body = bytes(784 * images)
    load = Offer(port, b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Type: "
                  b"application/octet-stream\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    began = due = time.monotonic()
    if rate == 0:
        while time.monotonic() < began + seconds:
            while load.count - len(load.idle) < WAITING_CLIENTS:
                load.send()
            load.step(0.1)
        due = began + seconds
    while due < began + seconds:
        now = time.monotonic()
        while due <= now and due < began + seconds:
            load.send()
            due += 1 / rate
        load.step(max(0, due - time.monotonic()))
    until = time.monotonic() + 10
    while load.count > len(load.idle) and time.monotonic() < until:
        load.step(0.1)
    middle = [x for x in load.good if began + seconds / 5 <= x < began + seconds]
    print(json.dumps({"sent": load.sent, "statuses": load.statuses, "no_retry": load.no_retry,
                      "broken": load.broken, "connections": load.count,
                      "per_second": len(middle) / (seconds * 4 / 5)}))


if __name__ == "__main__":
    main()

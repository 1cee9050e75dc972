"""Our ends of a program's pipes, on the running event loop: nothing here blocks, and nothing exceeds a limit."""

import asyncio
import os
from collections.abc import Callable

_CHUNK = 65536


class Output:
    """Both output streams, within one shared limit."""

    def __init__(self, limit: int, full: Callable[[], None]) -> None:
        self._room = limit
        self._full = full
        self.stdout, self.stderr = bytearray(), bytearray()

    def append(self, stream: bytearray, data: bytes) -> None:
        stream += data[: self._room]
        if len(data) > self._room:
            self._full()
        self._room = max(0, self._room - len(data))


class Reader:
    """Our end of a pipe that is read until its other end closes."""

    def __init__(self, descriptor: int, receive: Callable[[bytes], None]) -> None:
        self._descriptor, self._receive = descriptor, receive
        self._loop = asyncio.get_running_loop()
        self.closed: asyncio.Future[None] = self._loop.create_future()
        os.set_blocking(descriptor, False)
        self._loop.add_reader(descriptor, self._ready)

    def _ready(self) -> None:
        if data := os.read(self._descriptor, _CHUNK):
            self._receive(data)
        else:
            self.close()

    def close(self) -> None:
        if not self.closed.done():
            self._loop.remove_reader(self._descriptor)
            os.close(self._descriptor)
            self.closed.set_result(None)


class Writer:
    """Our end of a pipe that is fed as fast as it is read; ``hold`` keeps it open after all is written."""

    def __init__(self, descriptor: int, data: bytes, *, hold: bool) -> None:
        self._descriptor, self._left, self._hold = descriptor, memoryview(data), hold
        self._loop = asyncio.get_running_loop()
        self._open = True
        os.set_blocking(descriptor, False)
        self._loop.add_writer(descriptor, self._ready)
        self._ready()

    def _ready(self) -> None:
        try:
            self._left = self._left[os.write(self._descriptor, self._left) :]
        except BlockingIOError:
            return
        except BrokenPipeError:
            self.close()
            return
        if not self._left:
            self._loop.remove_writer(self._descriptor)
            if not self._hold:
                self.close()

    def close(self) -> None:
        if self._open:
            self._open = False
            self._loop.remove_writer(self._descriptor)
            os.close(self._descriptor)

"""One event loop in a thread of its own, for callers that are not asynchronous, or cannot wait for their own loop."""

import asyncio
import atexit
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Background:
    """A loop thread that begins with the first call and ends, cleanly, with the process."""

    def __init__(self) -> None:
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def wait_for(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run ``coroutine`` in the background loop and block until it is done. Ctrl-C cancels it."""
        if threading.current_thread() is self._thread:
            coroutine.close()
            raise RuntimeError("run would wait for itself here, inside the background loop: await arun instead")
        future = asyncio.run_coroutine_threadsafe(coroutine, self._running_loop())
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        with self._starting:
            # A thread is dead in the child of a fork, which needs a loop of its own.
            if self._loop is None or self._thread is None or not self._thread.is_alive():
                started = threading.Event()
                self._loop = loop = asyncio.new_event_loop()
                loop.call_soon(started.set)
                self._thread = threading.Thread(target=_run, args=(loop,), name="chatdev-models", daemon=True)
                self._thread.start()
                atexit.register(self.close)
                started.wait()
            return self._loop

    def close(self) -> None:
        """Stop the loop, after its tasks were cancelled and its connections closed. A later call begins anew."""
        with self._starting:
            atexit.unregister(self.close)
            thread, loop, self._thread, self._loop = self._thread, self._loop, None, None
        if thread and loop and thread.is_alive():
            loop.call_soon_threadsafe(loop.stop)
            thread.join()


def _run(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
    finally:
        for task in asyncio.all_tasks(loop):
            task.cancel()
            loop.run_until_complete(asyncio.gather(task, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_asyncgens())  # closes the client sessions, see transport
        loop.close()


BACKGROUND = Background()
"""The process's one background loop; it is nothing but a name until it is used."""

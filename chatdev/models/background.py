"""One event loop in its own thread, for callers that are not asynchronous or cannot wait for their own loop."""

import asyncio
import atexit
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Background:
    """A loop thread that starts with the first call and ends cleanly with the process."""

    def __init__(self) -> None:
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def wait_for(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run ``coroutine`` in the background loop and block until it is done. Ctrl-C cancels it."""
        if threading.current_thread() is self._thread:
            coroutine.close()
            raise RuntimeError("run would block its own background event loop here; await arun instead")
        future = asyncio.run_coroutine_threadsafe(coroutine, self._running_loop())
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        with self._starting:
            # After a fork, the thread does not run in the child; the child needs its own loop.
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
        """Cancel the loop's tasks, close its connections and stop it. A later call starts a new loop."""
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
"""The process's one background loop; its thread starts with the first use."""

"""Others' System V objects, message queues, file attributes and watches, and the scheduling of their processes"""

import os

from ways import TOLD, attempt, call

outside = os.fsencode(TOLD["outside"])
attempt("attached shared memory", lambda: call("shmat", TOLD["shared_memory"], None, 0))
attempt("read the state of shared memory", lambda: call("shmctl", TOLD["shared_memory"], 2, bytes(256)))
attempt("read a semaphore", lambda: call("semctl", TOLD["semaphores"], 0, 12, 0))
attempt("raised a semaphore", lambda: call("semop", TOLD["semaphores"], (1 << 16).to_bytes(6, "little"), 1))
attempt("sent a message", lambda: call("msgsnd", TOLD["messages"], (1).to_bytes(9, "little"), 1, 0o4000))
attempt("read the state of a queue", lambda: call("msgctl", TOLD["messages"], 2, bytes(256)))
attempt("deleted a queue", lambda: call("mq_unlink", TOLD["queue"].encode()))
attempt("watched a folder", lambda: call("inotify_add_watch", call("inotify_init1", 0), outside, 0xFFF))
attempt("set an attribute", lambda: call("setxattr", outside, b"user.probe", b"x", 1, 0))
attempt("removed an attribute", lambda: call("removexattr", outside, b"user.given"))
attempt("chose the processors of another process", lambda: os.sched_setaffinity(TOLD["host"], {0}))
attempt("chose the scheduling of another process", lambda: os.sched_setscheduler(TOLD["host"], 0, os.sched_param(0)))
attempt("lowered the priority of another process", lambda: os.setpriority(os.PRIO_PROCESS, TOLD["host"], 19))
attempt("freed the memory of another process", lambda: call("process_mrelease", os.pidfd_open(TOLD["host"]), 0))

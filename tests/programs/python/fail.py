"""Fails in the way that the first argument names, and says nothing of it but what Python prints.

    python3 fail.py chain               the failure, on stderr
    TRUTH=1 python3 fail.py chain       what Python itself knows of the same failure, as JSON on stdout
"""
import asyncio
import json
import os
import sys

from library import parse

if os.environ.get("TRUTH"):
    import truth
    sys.excepthook = truth.hook


class OrderError(Exception):
    """An error of our own."""


class Orders:
    def __init__(self, rows):
        self.rows = rows

    def find(self, key):
        try:
            return parse(self.rows[key])
        except KeyError as error:
            raise OrderError(f"no order {key}") from error


def chain():
    try:
        Orders({}).find("A-1")
    except OrderError:
        raise RuntimeError("service unavailable")


def hidden():
    try:
        Orders({}).find("A-1")
    except OrderError as error:
        raise RuntimeError("said once") from None


def parsed():
    Orders({"B": "{"}).find("B")


def lines():
    raise ValueError('first line\n\n  File "x.py", line 1, in f\n    real()\nlast: line')


def empty():
    [str(raise_(OrderError())) for _ in range(2)]


def raise_(error):
    raise error


def notes():
    error = ValueError("größe 日本語 🎉")
    error.add_note("first note")
    error.add_note("second note\nof two lines")
    raise error


def group():
    raise ExceptionGroup("both failed", [ValueError("one\nand more"), OrderError("two")])


def deep():
    def down(left):
        return down(left - 1) if left else 1 / left

    down(40)


async def load():
    await asyncio.sleep(0)
    raise TimeoutError("too late")


def later():
    async def both():
        await asyncio.gather(load(), asyncio.sleep(0))

    asyncio.run(both())


def syntax():
    exec(compile("def f(:\n    pass\n", "made.py", "exec"))


globals()[sys.argv[1]]()

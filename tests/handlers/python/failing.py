"""A function that fails as its event asks it to."""

import ctypes
import os
import time


class OutOfStock(Exception):
    """A failure of the function's own."""


def handler(event, context):
    fail = event.get("fail", "none")
    if fail != "none":
        FAILURES[fail]()  # mark: handler
    return {"ok": True}


def exception():
    raise Exception("I failed!")  # mark: exception


def own():
    raise OutOfStock("no stock for sku TA-404")  # mark: own


def text():
    raise ValueError("größer als 東京\nzweite Zeile: 🚀")  # mark: text


FAILURES = {
    "exception": exception,
    "own": own,
    "text": text,
    "exit": lambda: os._exit(7),
    "segv": lambda: ctypes.string_at(0),
    "sleep": lambda: time.sleep(1000),
}

"""Prints what Python's own traceback objects say of the failure that ends the process, as a record."""
import json
import traceback


def name(kind):
    return kind.__qualname__ if kind.__module__ in ("__main__", "builtins") else f"{kind.__module__}.{kind.__qualname__}"


def record(error, relation=None):
    calls = [[call.filename, call.lineno, call.name, None] for call in traceback.extract_tb(error.__traceback__)]
    message = str(error)
    if isinstance(error, SyntaxError):
        calls.append([error.filename, error.lineno, None, None])
        message = error.msg
    message = "\n".join([message, *getattr(error, "__notes__", [])])
    causes = []
    if error.__cause__ is not None:
        causes.append(record(error.__cause__, "cause"))
    elif error.__context__ is not None and not error.__suppress_context__:
        causes.append(record(error.__context__, "context"))
    causes += [record(member, "member") for member in getattr(error, "exceptions", [])]
    return {"errorType": name(type(error)), "errorMessage": message, "stackTrace": calls, "causes": causes, "relation": relation}


def hook(kind, error, trace):
    print(json.dumps(record(error)))

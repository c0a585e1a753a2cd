"""A runtime in raw HTTP: what it does is said by the event's `do` member, or by RUNTIME_INIT."""
import base64
import http.client
import json
import os
import signal
import sys
import time

connection = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])


def call(method, path, body=None, headers=None):
    connection.request(method, "/2018-06-01/runtime" + path, body, headers or {})
    answer = connection.getresponse()
    return answer.status, answer.headers, answer.read()


def say(*words):
    print(*words, flush=True)


def stream_and_fail(request_id):
    """Two chunks, then a failure that only the trailers tell, as Node's runtime sends it."""
    error = base64.b64encode(b'{"errorType":"Late","errorMessage":"after the first byte"}').decode()
    connection.putrequest("POST", f"/2018-06-01/runtime/invocation/{request_id}/response")
    for name, value in [
        ("Lambda-Runtime-Function-Response-Mode", "streaming"),
        ("Transfer-Encoding", "chunked"),
        ("Trailer", "Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body"),
    ]:
        connection.putheader(name, value)
    connection.endheaders()
    connection.send(b"5\r\npart1\r\n0\r\n")
    connection.send(f"Lambda-Runtime-Function-Error-Type: Function.Late\r\n"
                    f"Lambda-Runtime-Function-Error-Body: {error}\r\n\r\n".encode())
    connection.getresponse().read()


init = os.environ.get("RUNTIME_INIT", "")
if init == "error":
    body = '{"errorMessage": "no module named \'x\'", "errorType": "Runtime.ImportModuleError"}'
    call("POST", "/init/error", body, {"Lambda-Runtime-Function-Error-Type": "Runtime.ImportModuleError"})
    sys.exit(1)
if init.startswith("exit"):
    sys.exit(int(init.split()[1]))
if init == "stuck" and not os.path.exists("unstuck"):
    time.sleep(3600)

while True:
    _, headers, payload = call("GET", "/invocation/next")
    request_id = headers["Lambda-Runtime-Aws-Request-Id"]
    event = json.loads(payload)
    do = event.get("do", "echo")
    path = f"/invocation/{request_id}"
    if do == "echo":
        call("POST", path + "/response", payload)
    elif do == "headers":
        told = {name: value for name, value in headers.items() if name.startswith("Lambda-")}
        call("POST", path + "/response", json.dumps(told))
    elif do == "environment":
        call("POST", path + "/response", json.dumps(dict(os.environ, cwd=os.getcwd())))
    elif do == "print":
        sys.stdout.write(event["text"])
        sys.stdout.flush()
        call("POST", path + "/response", "null")
    elif do == "error":
        call("POST", path + "/error", event["body"].encode(), event.get("headers"))
    elif do == "exit":
        sys.stdout.write("last words without an end")
        sys.stdout.flush()
        os._exit(event["status"])
    elif do == "signal":
        signal.signal(event["signal"], signal.SIG_DFL) if event["signal"] != signal.SIGKILL else None
        os.kill(os.getpid(), event["signal"])
    elif do == "sleep":
        say("sleeping")
        time.sleep(3600)
    elif do == "answer-and-exit":
        call("POST", path + "/error", '{"errorType":"panic"}')
        os._exit(1)
    elif do == "misbehave":
        wrong, _, wrong_body = call("POST", "/invocation/no-such-id/response", "{}")
        first, _, first_body = call("POST", path + "/response", '"first"')
        second, _, second_body = call("POST", path + "/response", '"second"')
        for status, body in [(wrong, wrong_body), (first, first_body), (second, second_body)]:
            say(status, body.decode())
    elif do == "large":
        status, _, body = call("POST", path + "/response", b'"' + b"x" * event["bytes"] + b'"')
        say(status, body.decode())
    elif do == "big-header":
        status, _, _ = call("POST", path + "/error", "{}",
                            {"Lambda-Runtime-Function-XRay-Error-Cause": "x" * event["bytes"]})
        say(status)
    elif do == "stream-and-fail":
        stream_and_fail(request_id)

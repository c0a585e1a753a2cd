#!/usr/bin/env python3
"""An extension that writes all it hears to the file EXTENSION_HEARS, one JSON value a line."""
import http.client
import http.server
import json
import os
import sys
import threading
import time

name = os.path.basename(sys.argv[0])
connection = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
hears = open(os.environ["EXTENSION_HEARS"], "a", buffering=1)


def hear(**what):
    print(json.dumps(what), file=hears, flush=True)


def call(method, path, body=None, **headers):
    connection.request(method, path, body, {key.replace("_", "-"): value for key, value in headers.items()})
    answer = connection.getresponse()
    return answer.status, answer.headers, answer.read().decode()


class Listener(http.server.BaseHTTPRequestHandler):
    failures = int(os.environ.get("TELEMETRY_FAILURES", "0"))

    def do_POST(self):
        batch = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if Listener.failures > 0:
            Listener.failures -= 1
            hear(refused=len(batch))
            self.send_error(500)
            return
        for event in batch:
            hear(telemetry=event)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


if os.environ.get("EXTENSION_INIT") == "exit":
    sys.exit(3)
status, headers, body = call("POST", "/2020-01-01/extension/register", '{"events":["INVOKE","SHUTDOWN"]}',
                             Lambda_Extension_Name=name, Lambda_Extension_Accept_Feature="accountId")
hear(registered=json.loads(body), status=status, environment=sorted(os.environ))
identifier = headers["Lambda-Extension-Identifier"]

if "TELEMETRY" in os.environ:
    listener = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Listener)
    threading.Thread(target=listener.serve_forever, daemon=True).start()
    subscription = {
        "schemaVersion": "2022-12-13",
        "types": os.environ["TELEMETRY"].split(","),
        "buffering": {"maxItems": 1000, "maxBytes": 262144, "timeoutMs": 1000},
        "destination": {"protocol": "HTTP", "URI": f"http://sandbox.localdomain:{listener.server_port}/"},
    }
    hear(subscribed=call("PUT", "/2022-07-01/telemetry", json.dumps(subscription),
                         Lambda_Extension_Identifier=identifier)[::2])
if os.environ.get("EXTENSION_INIT") == "error":
    call("POST", "/2020-01-01/extension/init/error", "{}", Lambda_Extension_Identifier=identifier,
         Lambda_Extension_Function_Error_Type="Extension.Mine")
    sys.exit(1)

while True:
    _, _, body = call("GET", "/2020-01-01/extension/event/next", Lambda_Extension_Identifier=identifier)
    event = json.loads(body)
    hear(event=event)
    do = os.environ.get("EXTENSION_ON_" + event["eventType"], "")
    if do.startswith("exit"):
        os._exit(int(do.split()[1]))
    if do == "hang":
        time.sleep(3600)
    if do.startswith("hold"):
        time.sleep(float(do.split()[1]))
    if event["eventType"] == "SHUTDOWN":
        sys.exit(0)

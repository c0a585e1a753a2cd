#!/bin/sh
# Runs AWS's Runtime Interface Emulator in a mount and a network namespace of its own, which the caller made, since it hard-codes its folders
# and ports; invokes it once for each event, and ends it.
#
# rie.sh EMULATOR FOLDER PYTHON COMMAND EVENT...
#   FOLDER has opt/ and var/, which become /opt and /var, and gets the emulator's log. COMMAND runs the runtime, where the emulator asks for it.
# Each answer is a line on standard output: the HTTP status and the body.
set -eu
emulator=$1 folder=$2 python=$3 command=$4
shift 4
mount --bind "$folder/opt" /opt
mount --bind "$folder/var" /var
ip link set lo up
cd /var/task
# shellcheck disable=SC2086
"$emulator" sh -c "$command" >"$folder/log" 2>&1 &
rie=$!
for event; do
    "$python" - "$event" <<'PYTHON'
import sys, time, urllib.error, urllib.request

URL = "http://127.0.0.1:8080/2015-03-31/functions/function/invocations"
for _ in range(200):
    try:
        with urllib.request.urlopen(urllib.request.Request(URL, data=sys.argv[1].encode()), timeout=20) as answer:
            print(answer.status, answer.read().decode(errors="replace"))
        break
    except urllib.error.HTTPError as error:
        print(error.code, error.read().decode(errors="replace"))
        break
    except OSError:
        # It does not listen yet.
        time.sleep(0.05)
else:
    sys.exit("the emulator does not answer")
PYTHON
done
# The last telemetry is on its way for 25 ms.
sleep 0.3
kill -TERM "$rie" 2>/dev/null || true
wait "$rie" || true

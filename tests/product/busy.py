"""An MCP server over stdio with one thread, which computes for a while, looks who has asked, and pauses: `busy.py COMPUTE PAUSE`,
both in seconds. It begins when its tools were asked for."""
import json
import os
import select
import sys
import time

compute, pause = float(sys.argv[1]), float(sys.argv[2])
buffer = b""
begun = False


def result(method, params):
    if method == "initialize":
        info = {"name": "busy", "version": "1"}
        return {"protocolVersion": params["protocolVersion"], "capabilities": {"tools": {}}, "serverInfo": info}
    if method == "tools/list":
        return {"tools": [{"name": "look", "inputSchema": {"type": "object"}, "annotations": {"readOnlyHint": True}}]}
    return {"content": [{"type": "text", "text": "seen"}]} if method == "tools/call" else {}


while True:
    until = time.monotonic() + (compute if begun else 0)
    while time.monotonic() < until:
        pass
    while select.select([0], [], [], pause if begun else None)[0]:
        read = os.read(0, 65536)
        if not read:
            sys.exit()
        *lines, buffer = (buffer + read).split(b"\n")
        for line in lines:
            request = json.loads(line)
            begun = begun or request.get("method") == "tools/list"
            if "id" in request and "method" in request:
                answer = result(request["method"], request.get("params") or {})
                print(json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": answer}), flush=True)

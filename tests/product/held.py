"""An MCP server over stdio that was written in a hurry: it connects to its store once and never again, and one of its tools
waits for what never comes while the others go on."""
import json
import socket
import sys
import threading

LOCK = threading.Lock()
STORE = socket.create_connection((sys.argv[1], int(sys.argv[2]))) if len(sys.argv) > 2 else None


def say(message):
    with LOCK:
        print(json.dumps(message), flush=True)


def rows():
    """Asks the store over the connection of the start."""
    STORE.sendall(b"GET /health HTTP/1.1\r\nHost: store\r\n\r\n")
    if not STORE.recv(65536):
        raise ConnectionResetError("the store closed the connection")
    return "rows"


def call(name):
    if name == "wait":
        threading.Event().wait()
    try:
        return {"content": [{"type": "text", "text": rows() if STORE else "rows"}]}
    except OSError as error:
        print(f"ERROR query failed: {error}", file=sys.stderr, flush=True)
        return {"content": [{"type": "text", "text": str(error)}], "isError": True}


def tool(name, reads):
    return {"name": name, "inputSchema": {"type": "object"}, "annotations": {"readOnlyHint": reads}}


def result(method, params):
    if method == "initialize":
        info = {"name": "held", "version": "1"}
        return {"protocolVersion": params["protocolVersion"], "capabilities": {"tools": {}}, "serverInfo": info}
    if method == "tools/list":
        # What only reads may hang as well, where the test wants that.
        only = "wait" if "waits" in sys.argv else "rows"
        return {"tools": [tool(name, name == only) for name in ("rows", "wait")]}
    return call(params["name"]) if method == "tools/call" else {}


def answer(request):
    say({"jsonrpc": "2.0", "id": request["id"], "result": result(request["method"], request.get("params") or {})})


for line in sys.stdin:
    request = json.loads(line)
    if "id" in request and "method" in request:
        threading.Thread(target=answer, args=(request,), daemon=True).start()

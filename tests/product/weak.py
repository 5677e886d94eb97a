"""A deliberately weak MCP server: what it is asked to look up reaches a shell as it is."""
import json
import subprocess
import sys

TOOLS = [
    {"name": "lookup", "description": "Looks up a host.",
     "inputSchema": {"type": "object", "properties": {"host": {"type": "string"}}}},
    {"name": "add", "description": "Adds two numbers.",
     "inputSchema": {"type": "object", "properties": {"a": {"type": "number"}, "b": {"type": "number"}}}},
]


def call(name, arguments):
    if name == "lookup":
        done = subprocess.run("echo looking up " + arguments["host"], shell=True, capture_output=True, text=True)
        return done.stdout
    return str(arguments["a"] + arguments["b"])


for line in sys.stdin:
    message = json.loads(line)
    if "id" not in message or "method" not in message:
        continue
    method, params = message["method"], message.get("params", {})
    if method == "initialize":
        result = {"protocolVersion": params["protocolVersion"], "capabilities": {"tools": {}},
                  "serverInfo": {"name": "weak", "version": "1"}}
    elif method == "tools/list":
        result = {"tools": TOOLS}
    elif method == "tools/call":
        said = call(params["name"], params.get("arguments", {}))
        result = {"content": [{"type": "text", "text": said}]}
    else:
        result = {}
    print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}), flush=True)

// The same as busy.py, in Node: `busy.js COMPUTE PAUSE`, both in seconds.
const [compute, pause] = process.argv.slice(-2).map((text) => Number(text) * 1000);

const result = (method, params) => {
  if (method === "initialize") {
    const serverInfo = { name: "busy", version: "1" };
    return { protocolVersion: params.protocolVersion, capabilities: { tools: {} }, serverInfo };
  }
  if (method === "tools/list") {
    const annotations = { readOnlyHint: true };
    begun ||= setTimeout(work, 0);
    return { tools: [{ name: "look", inputSchema: { type: "object" }, annotations }] };
  }
  return method === "tools/call" ? { content: [{ type: "text", text: "seen" }] } : {};
};

let begun;
let buffer = "";
process.stdin.on("data", (read) => {
  const lines = (buffer + read).split("\n");
  buffer = lines.pop();
  for (const { id, method, params } of lines.filter(Boolean).map((line) => JSON.parse(line))) {
    if (id !== undefined && method) {
      process.stdout.write(`${JSON.stringify({ jsonrpc: "2.0", id, result: result(method, params ?? {}) })}\n`);
    }
  }
});
process.stdin.on("end", () => process.exit());

const work = () => {
  const until = performance.now() + compute;
  while (performance.now() < until);
  setTimeout(work, pause);
};

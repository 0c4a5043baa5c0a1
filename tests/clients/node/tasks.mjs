// Deploys one machine as a task and cancels the task of another, with @modelcontextprotocol/ext-tasks over HTTP.
//
//   node tasks.mjs MODULES URL FIRST SECOND
//
// MODULES: the folder node_modules. FIRST, SECOND: system ids. Prints one JSON object: for each task its kind, the views
// that the client saw until the end, and the outcome.
import { pathToFileURL } from "node:url";

const [modules, url, first, second] = process.argv.slice(2);
const load = (path) => import(pathToFileURL(`${modules}/@modelcontextprotocol/${path}`));
const { Client, StreamableHTTPClientTransport } = await load("client/dist/index.mjs");
const { createTaskSessionFromClient } = await load("ext-tasks/dist/client/index.js");

const protocolVersion = "2026-07-28";
const clientInfo = { name: "tasks", version: "1" };
const client = new Client(clientInfo, { versionNegotiation: { mode: { pin: protocolVersion } } });
await client.connect(new StreamableHTTPClientTransport(new URL(url)));

// The SDK's client rejects a task as the result of a call. For such requests ext-tasks wants a function of the host's.
let id = 0;
async function rawDispatch({ method, params }, { signal } = {}) {
  const response = await fetch(url, {
    method: "POST",
    signal,
    headers: {
      "Content-Type": "application/json",
      Accept: "application/json, text/event-stream",
      "MCP-Protocol-Version": protocolVersion,
      "Mcp-Method": method,
      "Mcp-Name": params.name ?? params.taskId,
    },
    body: JSON.stringify({ jsonrpc: "2.0", id: `raw-${++id}`, method, params }),
  });
  const text = await response.text();
  const messages = response.headers.get("Content-Type").startsWith("text/event-stream")
    ? text.split("\n").filter((line) => line.startsWith("data: {")).map((line) => JSON.parse(line.slice(6)))
    : [JSON.parse(text)];
  const { result, error } = messages.at(-1);
  return error ? { kind: "error", error } : { kind: "result", result };
}

const session = createTaskSessionFromClient(client, {
  endpointId: "maas",
  rawDispatch,
  v2RequestFraming: { protocolVersion, clientInfo, clientCapabilities: {} },
});

async function follow(args, onEvent = () => undefined) {
  const execution = await session.callTool("maas_deploy_machine", args);
  const views = [];
  const { outcome } = await execution.settle({
    onEvent: async (event) => {
      if (event.type === "task") views.push(event.task);
      await onEvent(event, execution);
    },
  });
  return { kind: execution.kind, views, outcome };
}

const deployed = await follow({ system_id: first });
let asked = false;
const cancelled = await follow({ system_id: second, on_cancel: "abort" }, async (event, execution) => {
  if (event.type !== "task" || asked) return;
  asked = true;
  await execution.cancel();
});
await session.close();
await client.close();
console.log(JSON.stringify({ deployed, cancelled }));

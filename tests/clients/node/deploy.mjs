// Deploys one machine and cancels the deployment of another, with one of the TypeScript SDK's clients.
//
//   node deploy.mjs MODULES SDK ERA SERVER FIRST SECOND
//
// MODULES: the folder node_modules. SDK: v1 or v2. ERA: legacy or modern. SERVER: a URL or a command. FIRST, SECOND:
// system ids. Prints one JSON object: the tools, the first call's progress on the wire and as the SDK reported it, its
// result, and how the second ended.
import { pathToFileURL } from "node:url";

const [modules, sdk, era, server, first, second] = process.argv.slice(2);
const load = (path) => import(pathToFileURL(`${modules}/@modelcontextprotocol/${path}`));

async function classes() {
  if (sdk === "v1") {
    const { Client } = await load("sdk/dist/esm/client/index.js");
    const { StdioClientTransport } = await load("sdk/dist/esm/client/stdio.js");
    const { StreamableHTTPClientTransport } = await load("sdk/dist/esm/client/streamableHttp.js");
    return { Client, StdioClientTransport, StreamableHTTPClientTransport };
  }
  const { Client, StreamableHTTPClientTransport } = await load("client/dist/index.mjs");
  const { StdioClientTransport } = await load("client/dist/stdio.mjs");
  return { Client, StdioClientTransport, StreamableHTTPClientTransport };
}

const { Client, StdioClientTransport, StreamableHTTPClientTransport } = await classes();
const mode = era === "modern" ? { pin: "2026-07-28" } : "legacy";
const client = new Client({ name: "deploy", version: "1" }, { versionNegotiation: { mode } });
const transport = server.startsWith("http")
  ? new StreamableHTTPClientTransport(new URL(server))
  : new StdioClientTransport({ command: server, args: ["serve"], env: process.env, stderr: "inherit" });
await client.connect(transport);

const sent = [];
const receive = transport.onmessage;
transport.onmessage = (message, extra) => {
  if (message.method === "notifications/progress") sent.push(message.params.progress);
  receive(message, extra);
};

const { tools } = await client.listTools();
const call = (name, args, options) =>
  sdk === "v1"
    ? client.callTool({ name, arguments: args }, undefined, options)
    : client.callTool({ name, arguments: args }, options);
const reported = [];
const deployed = await call("maas_deploy_machine", { system_id: first }, {
  timeout: 120_000,
  onprogress: ({ progress }) => reported.push(progress),
});
const progress = { sent: [...sent], reported: [...reported] };

const stop = new AbortController();
let cancelled;
try {
  await call("maas_deploy_machine", { system_id: second, on_cancel: "abort" }, {
    timeout: 120_000,
    signal: stop.signal,
    onprogress: ({ message }) => message.startsWith("Starting") || stop.abort("the user pressed stop"),
  });
} catch (error) {
  cancelled = String(error);
}
const after = await call("maas_list_machines", {}, {});
await client.close();
console.log(JSON.stringify({ tools: tools.map(({ name }) => name), progress, deployed, cancelled, after }));

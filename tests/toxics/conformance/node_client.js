// All that toxiproxy-node-client covers, against the server named on the command line. Any surprise ends with code 1.
"use strict";
const assert = require("node:assert/strict");
const net = require("node:net");
const { Toxiproxy } = require("toxiproxy-node-client");

function connect(address) {
  const [host, port] = address.split(":");
  return new Promise((resolve) => {
    const socket = net.connect(Number(port), host);
    socket.once("connect", () => { socket.destroy(); resolve("connected"); });
    socket.once("error", (error) => resolve(error.code));
  });
}

async function main() {
  const client = new Toxiproxy(process.argv[2]);
  assert.equal(JSON.parse(await client.getVersion()).version, "2.12.0");

  const proxy = await client.createProxy({ name: "p", listen: "127.0.0.1:0", upstream: "127.0.0.1:1" });
  assert.equal(proxy.enabled, true);
  await assert.rejects(client.createProxy({ name: "p", listen: "127.0.0.1:0", upstream: "127.0.0.1:1" }), /409|exists/);
  assert.equal(await connect(proxy.listen), "connected");

  const latency = { name: "slow", type: "latency", stream: "downstream", toxicity: 0.5 };
  const toxic = await proxy.addToxic({ ...latency, attributes: { latency: 5, jitter: 1 } });
  assert.deepEqual(toxic.attributes, { latency: 5, jitter: 1 });
  const changed = await toxic.update({ ...latency, toxicity: 1, attributes: { latency: 9, jitter: 0 } });
  assert.deepEqual([changed.toxicity, changed.attributes], [1, { latency: 9, jitter: 0 }]);
  assert.deepEqual((await proxy.getToxic("slow")).attributes, { latency: 9, jitter: 0 });
  await toxic.remove();
  await assert.rejects(proxy.getToxic("slow"), /404|not found/);
  for (const [type, attributes] of Object.entries({
    bandwidth: { rate: 1000 }, slow_close: { delay: 1 }, timeout: { timeout: 1 }, reset_peer: { timeout: 1 },
    limit_data: { bytes: 10 }, slicer: { average_size: 10, size_variation: 5, delay: 1 },
  })) {
    const one = await proxy.addToxic({ name: type, type, stream: "upstream", toxicity: 1, attributes });
    assert.deepEqual(one.attributes, attributes);
  }
  await assert.rejects(proxy.addToxic({ ...latency, type: "none", attributes: {} }), /400|invalid/);

  const { listen, upstream } = proxy;
  assert.equal((await proxy.update({ enabled: false, listen, upstream })).enabled, false);
  assert.equal(await connect(listen), "ECONNREFUSED");
  await client.reset();
  const again = await client.get("p");
  assert.equal(again.enabled, true);
  await assert.rejects(again.getToxic("bandwidth"), /404|not found/);

  const made = await client.populate([{ name: "q", listen: "127.0.0.1:0", upstream: "127.0.0.1:1" }]);
  assert.deepEqual(Object.keys(made), ["q"]);
  assert.deepEqual(Object.keys(await client.getAll()).sort(), ["p", "q"]);
  for (const one of Object.values(await client.getAll())) await one.remove();
  assert.deepEqual(await client.getAll(), {});
  await assert.rejects(client.get("p"), /404|not found/);
}

main().catch((error) => { console.error(error); process.exit(1); });

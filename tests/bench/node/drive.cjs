// Drives the npm package: one order a line on standard input, one measurement a line on standard output.
const http = require("http");
const readline = require("readline");
const { sendSMS } = require(process.argv[2]);

const config = { login: "bench@example.org", accessKey: "key" };
const message = (i) => ({
  phone_number: "+3363998" + String(i % 10000).padStart(4, "0"),
  message: `Hello, this is message ${i} of the benchmark: your parcel is on its way.`,
  url: "",
  priorite: 1,
});

let sent = 0;
let times = [];

async function send(messages) {
  const receipts = await sendSMS(config, messages);
  sent += receipts.filter((receipt) => receipt.sent === 1).length;
}

async function calls({ tasks, seconds = Infinity, each = Infinity }) {
  const end = performance.now() + seconds * 1000;
  const worker = async () => {
    for (let i = 0; i < each && performance.now() < end; i++) {
      const started = performance.now();
      await send([message(sent)]);
      times.push(performance.now() - started);
    }
  };
  await Promise.all(Array.from({ length: tasks }, worker));
}

async function bulk({ tasks, size, messages }) {
  let next = 0;
  const worker = async () => {
    while (next < messages.length) await send(messages.slice(next, (next += size)));
  };
  await Promise.all(Array.from({ length: tasks }, worker));
}

const percentile = (percent) => (times[Math.floor((times.length * percent) / 100)] ?? 0) / 1000;

async function obey(order) {
  process.env.BENCH_PORT = order.port;
  http.globalAgent.destroy(); // each order opens connections of its own
  if (order.count) order.messages = Array.from({ length: order.count }, (_, i) => message(i));
  if (!order.count) await calls({ tasks: order.tasks, each: 1 });
  sent = 0;
  times = [];
  const before = process.cpuUsage();
  const started = performance.now();
  await (order.count ? bulk(order) : calls(order));
  const seconds = (performance.now() - started) / 1000;
  const used = process.cpuUsage(before);
  times.sort((a, b) => a - b);
  const cpu = (used.user + used.system) / 1e6;
  const lap = { messages: sent, seconds, cpu, p50: percentile(50), p99: percentile(99) };
  console.log(JSON.stringify(lap));
}

(async () => {
  for await (const line of readline.createInterface({ input: process.stdin })) await obey(JSON.parse(line));
  process.exit(0);
})();

// Drives the npm package: one order a line on standard input, one measurement a line on standard output.
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

async function send(messages) {
  const receipts = await sendSMS(config, messages);
  sent += receipts.filter((receipt) => receipt.sent === 1).length;
}

async function calls({ tasks, seconds }) {
  const end = performance.now() + seconds * 1000;
  const worker = async () => {
    while (performance.now() < end) await send([message(sent)]);
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

async function obey(order) {
  process.env.BENCH_PORT = order.port;
  if (order.count) order.messages = Array.from({ length: order.count }, (_, i) => message(i));
  if (order.seconds) await calls({ ...order, seconds: 0.05 });
  sent = 0;
  const cpu = process.cpuUsage();
  const started = performance.now();
  await (order.count ? bulk(order) : calls(order));
  const seconds = (performance.now() - started) / 1000;
  const used = process.cpuUsage(cpu);
  console.log(JSON.stringify({ messages: sent, seconds, cpu: (used.user + used.system) / 1e6 }));
}

(async () => {
  for await (const line of readline.createInterface({ input: process.stdin })) await obey(JSON.parse(line));
  process.exit(0);
})();

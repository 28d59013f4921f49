// Preloaded: what the package sends to https://www.insim.app goes to the local server instead.
const http = require("http");
const https = require("https");

https.request = (options, done) => {
  const local = { ...options, hostname: "127.0.0.1", port: process.env.BENCH_PORT };
  return http.request(local, done);
};

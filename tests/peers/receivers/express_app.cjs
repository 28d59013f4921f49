// Receives webhooks with Express as the vendor documents it: parsed by Express, decoded once more.
const { createRequire } = require("module");
const express = createRequire(process.argv[2] + "/")("express");

const app = express();
app.get("/hook", (request, response) => {
  for (const [parameter, value] of Object.entries(request.query)) {
    console.log(JSON.stringify([parameter, JSON.parse(decodeURIComponent(value))]));
  }
  response.status(200).send("OK");
});
app.listen(Number(process.argv[3]), "127.0.0.1");

// Parses AsyncAPI documents: `node parse.js FILE…`. Prints, for each file, its errors and the names of its channels as JSON.
const fs = require("fs");
const { Parser } = require("@asyncapi/parser");

const ERROR = 0;

async function judge(file) {
  const { document, diagnostics } = await new Parser().parse(fs.readFileSync(file, "utf8"));
  return {
    errors: diagnostics
      .filter((one) => one.severity === ERROR)
      .map((one) => `${one.path.join(".")}: ${one.message}`),
    channels: document ? document.channels().all().map((channel) => channel.address()) : [],
  };
}

Promise.all(process.argv.slice(2).map(judge)).then((found) => console.log(JSON.stringify(found)));

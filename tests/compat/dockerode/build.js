// Builds with dockerode what the arguments say, and prints what a program would get: one JSON document.
//
//   node build.js SOCKET directory DIR OPTIONS    a context that dockerode packs
//   node build.js SOCKET archive FILE OPTIONS     one that is there
"use strict";

const fs = require("fs");
const Docker = require("dockerode");

const [socketPath, form, path, options] = process.argv.slice(2);
const docker = new Docker({ socketPath });

async function main() {
  const context = form === "directory" ? { context: path, src: fs.readdirSync(path) } : fs.createReadStream(path);
  const stream = await docker.buildImage(context, JSON.parse(options));
  const messages = await new Promise((resolve, reject) => {
    docker.modem.followProgress(stream, (error, output) => (error ? reject(error) : resolve(output)));
  });
  // The library leaves it to the program to look for what went wrong.
  const failed = messages.find((message) => message.error);
  if (failed) throw new Error(failed.error);
  const id = messages.filter((message) => message.aux).pop().aux.ID;
  const image = await docker.getImage(id).inspect();
  return { id, inspected: image.Id, log: messages.map((message) => message.stream || "").join("") };
}

main().then(
  (result) => console.log(JSON.stringify(result)),
  (error) => console.log(JSON.stringify({ status: error.statusCode || null, message: error.message })),
);

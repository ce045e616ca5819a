// Adapter for Node's child_process.  Node reaps every child itself, and its kill() then answers
// false; the child's exit is an event, so a wait is a promise that any number of callers share.
// Source: https://nodejs.org/docs/latest/api/child_process.html
"use strict";
const { spawn } = require("node:child_process");
const { constants } = require("node:os");
const readline = require("node:readline");

const processes = new Map();
const say = (message) => process.stdout.write(JSON.stringify(message) + "\n");

// What each operation answers, or a promise of it.
const operations = {
  start(asked) {
    const [program, ...rest] = asked.argv;
    const child = spawn(program, rest, { stdio: ["ignore", "ignore", "inherit"] });
    const exited = new Promise((tell) => child.once("exit", (code, signal) => tell({ code, signal })));
    processes.set(asked.process, { child, exited });
    return new Promise((tell, refuse) => {
      child.once("spawn", () => tell({ outcome: "nil", pid: child.pid }));
      child.once("error", refuse);
    });
  },
  async wait(asked) {
    const { code, signal } = await processes.get(asked.process).exited;
    return signal === null
      ? { outcome: "ok", exit_code: code }
      : { outcome: "ok", exit_signal: constants.signals[signal] };
  },
  signal(asked) {
    const sent = processes.get(asked.process).child.kill(asked.signal);
    return sent ? { outcome: "nil" } : { outcome: "EPD", native: "false" };
  },
  kill(asked) {
    return operations.signal({ ...asked, signal: "SIGKILL" });
  },
  drop(asked) {
    processes.delete(asked.process);
    return { outcome: "nil" };
  },
};

async function serve(asked) {
  say({ type: "invoke", id: asked.id });
  let answer;
  try {
    answer = await operations[asked.op](asked);
  } catch (error) {
    answer = { outcome: /^E[A-Z0-9]+$/.test(error.code) ? error.code : "other", native: String(error) };
  }
  say({ type: "return", id: asked.id, ...answer });
}

readline.createInterface({ input: process.stdin }).on("line", (line) => {
  const message = JSON.parse(line);
  if (message.type === "hello") {
    say({
      type: "ready", protocol_min: 1, protocol_max: 1,
      implementation: "node child_process", version: process.version, system: process.platform,
      pid: process.pid,
      capabilities: ["start", "wait", "signal", "kill", "reaps-itself", "exit-status", "concurrent"],
    });
  } else if (message.type === "op") {
    serve(message);
  } else {
    process.exit(0);
  }
}).on("close", () => process.exit(0));

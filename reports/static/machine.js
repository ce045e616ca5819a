// The model in the page: runs the commands exported from the tables, and has no rules of its own.
//
// A state is [shared, threads]: an array of values, and per thread [place, ...locals], where place is
// a location plus, for a thread with several calls, how many have returned.  Values of more than 31
// bits are BigInts, the others numbers; all arithmetic wraps at the expression's width.
"use strict";

const Machine = (() => {
  const KERNEL = "kernel";
  const DEADLOCK = "deadlock";
  const wide = (width) => width > 31;

  class Refusal extends Error {}

  function number(text, width) {
    return wide(width) ? BigInt(text) : Number(text);
  }

  function wrap(width) {
    if (wide(width)) return (value) => BigInt.asUintN(width, value);
    const mask = 2 ** width - 1;
    return (value) => value & mask;
  }

  // How each operation of the algebra is computed; `fit` wraps at the operands' width.
  const OPERATIONS = {
    add: (a, b, _, fit) => (...e) => fit(a(...e) + b(...e)),
    sub: (a, b, _, fit) => (...e) => fit(a(...e) - b(...e)),
    and: (a, b) => (...e) => a(...e) & b(...e),
    or: (a, b) => (...e) => a(...e) | b(...e),
    xor: (a, b) => (...e) => a(...e) ^ b(...e),
    inv: (a, _b, _c, fit) => (...e) => fit(~a(...e)),
    eq: (a, b) => (...e) => a(...e) == b(...e), // loose: a boolean is true or 1
    ne: (a, b) => (...e) => a(...e) != b(...e),
    ult: (a, b) => (...e) => a(...e) < b(...e),
    ule: (a, b) => (...e) => a(...e) <= b(...e),
    all: (a, b) => (...e) => a(...e) && b(...e),
    any: (a, b) => (...e) => a(...e) || b(...e),
    not: (a) => (...e) => !a(...e),
    ite: (a, b, c) => (...e) => (a(...e) ? b(...e) : c(...e)),
  };

  // Turn an expression into a function of (shared, locals, shared afterwards, holders).
  function compile(expr, places) {
    const [op, width, ...rest] = expr;
    if (op === "const") {
      const value = number(rest[0], width);
      return () => value;
    }
    if (op === "var") {
      const place = places.get(rest[0]);
      if (place === undefined) throw new Error(`no variable ${rest[0]}`);
      return place;
    }
    if (!(op in OPERATIONS)) throw new Error(`no operation ${op}`);
    const [a, b, c] = rest.map((arg) => compile(arg, places));
    return OPERATIONS[op](a, b, c, wrap(rest[0][1]));
  }

  function placesOf(table) {
    const places = new Map();
    table.shared.forEach((v, i) => {
      places.set(v.name, (shared) => shared[i]);
      places.set(`${v.name}'`, (_shared, _locals, after) => after[i]);
    });
    table.local.forEach((v, i) => places.set(v.name, (_shared, locals) => locals[i]));
    places.set("holders", (_shared, _locals, _after, holders) => BigInt(holders));
    return places;
  }

  function store(value, width) {
    return wide(width) ? value : Number(value);
  }

  class System {
    constructor(table, threads, initial = {}) {
      this.table = table;
      this.threads = threads;
      this.given = initial;
      this.size = table.locations.length;
      this.index = new Map(table.locations.map((name, i) => [name, i]));
      const places = placesOf(table);
      this.commands = table.commands.map((c) => this.compileCommand(c, places));
      this.kernel = table.kernel.map((c) => this.compileCommand(c, places));
      this.leaving = table.locations.map((at) => this.commands.filter((c) => c.at === at));
      this.laws = table.laws.map((law) => ({ ...law, test: compile(law.holds, places) }));
      this.holding = new Set(table.holding.map((name) => this.index.get(name)));
      for (const thread of threads) {
        for (const call of thread.calls) {
          if (!(call in table.methods)) {
            throw new Refusal(
              `${table.id} has no method '${call}'; it has ${Object.keys(table.methods).join(", ")}`,
            );
          }
        }
      }
      this.initial = [
        table.shared.map((v) => (v.name in initial ? initial[v.name] : number(v.initial, v.width))),
        threads.map((t) => [this.begin(t, 0), ...table.local.map((v) => number("0", v.width))]),
      ];
    }

    compileCommand(command, places) {
      const slot = new Map(this.table.shared.map((v, i) => [v.name, [0, i, v.width]]));
      this.table.local.forEach((v, i) => slot.set(v.name, [1, i, v.width]));
      return {
        ...command,
        enabled: compile(command.guard, places),
        sets: command.update.map(([name, value]) => [...slot.get(name), compile(value, places)]),
        obligations: command.must.map((m) => [m.law, compile(m.holds, places)]),
      };
    }

    begin(thread, position) {
      return this.index.get(this.table.methods[thread.calls[position]]) + position * this.size;
    }

    location(thread) {
      return this.table.locations[thread[0] % this.size];
    }

    position(thread) {
      return Math.floor(thread[0] / this.size);
    }

    holders(state) {
      return state[1].filter((t) => this.holding.has(t[0] % this.size)).length;
    }

    done(state, i) {
      const at = this.location(state[1][i]);
      if (at === "panicked" || at === "blocked") return true;
      return at === "end" && this.position(state[1][i]) === this.threads[i].calls.length - 1;
    }

    atRest(state) {
      return state[1].every((_, i) => this.done(state, i));
    }

    apply(command, shared, locals) {
      const after = [shared, locals];
      for (const [which, i, width, value] of command.sets) {
        if (after[which] === (which ? locals : shared)) after[which] = [...after[which]];
        after[which][i] = store(value(shared, locals), width);
      }
      const failed = command.obligations.find(([, holds]) => !holds(shared, locals));
      return [...after, failed ? failed[0] : null];
    }

    threadSteps(state, i) {
      const [shared, threads] = state;
      const [place, ...locals] = threads[i];
      const position = this.position(threads[i]);
      const thread = this.threads[i];
      const found = [];
      for (const command of this.leaving[place % this.size]) {
        if (!command.enabled(shared, locals)) continue;
        const [after, localsAfter, broken] = this.apply(command, shared, locals);
        const again = command.to === "end" && position + 1 < thread.calls.length;
        const goes = again
          ? this.begin(thread, position + 1)
          : this.index.get(command.to) + position * this.size;
        const all = [...threads];
        all[i] = [goes, ...localsAfter];
        found.push({ actor: thread.name, command, state: [after, all], broken });
      }
      return found;
    }

    kernelSteps(state) {
      const found = [];
      for (const command of this.kernel) {
        if (!command.enabled(state[0], [])) continue;
        const [after, , broken] = this.apply(command, state[0], []);
        found.push({ actor: KERNEL, command, state: [after, state[1]], broken });
      }
      return found;
    }

    steps(state) {
      return [...state[1].flatMap((_, i) => this.threadSteps(state, i)), ...this.kernelSteps(state)];
    }

    // The laws of a state that do not hold in it, and those of the step that led there from `before`.
    violated(state, before = null, broken = null) {
      const found = broken ? [broken] : [];
      const holders = this.holders(state);
      const rest = this.atRest(state);
      for (const law of this.laws) {
        if (law.kind === "always" || (law.kind === "rest" && rest)) {
          if (!law.test(state[0], [], state[0], holders)) found.push(law.id);
        } else if (law.kind === "step" && before) {
          if (!law.test(before[0], [], state[0], this.holders(before))) found.push(law.id);
        }
      }
      if (!rest && this.steps(state).length === 0) found.push(DEADLOCK);
      return found;
    }

    // The sights that a state or the step into it shows.
    seen(state, command = null) {
      return this.laws
        .filter((law) => law.kind === "sometimes")
        .filter((law) =>
          law.shown_by.length
            ? command && law.shown_by.includes(command.name)
            : law.test(state[0], [], state[0], this.holders(state)),
        )
        .map((law) => law.id);
    }

    key(state) {
      return `${state[0].join()};${state[1].map((t) => t.join()).join(";")}`;
    }

    // Breadth first for the shortest run that breaks `law` (any, if null).  A generator, so that the
    // page can go on living; yields the number of states and returns the steps, or null.
    *search(law = null, limit = Infinity) {
      const wanted = (laws) => laws.find((id) => law === null || id === law);
      const came = new Map([[this.key(this.initial), null]]);
      const path = (record) => {
        const steps = [];
        for (let at = record; at; at = at.from) steps.unshift(at.step);
        return steps;
      };
      if (wanted(this.violated(this.initial))) return { steps: [], states: 1 };
      let level = [[this.initial, null]];
      while (level.length) {
        const next = [];
        for (const [state, from] of level) {
          for (const step of this.steps(state)) {
            const record = { from, step };
            if (step.broken) {
              if (wanted([step.broken])) return { steps: path(record), states: came.size };
              continue;
            }
            const key = this.key(step.state);
            const fresh = !came.has(key);
            if (wanted(this.violated(step.state, state))) {
              return { steps: path(record), states: came.size };
            }
            if (!fresh) continue;
            came.set(key, true);
            next.push([step.state, record]);
            if (came.size >= limit) return { steps: null, states: came.size, cut: true };
            if (came.size % 512 === 0) yield came.size;
          }
        }
        level = next;
      }
      return { steps: null, states: came.size };
    }

    // Take the steps of `actors`; stops at the first that is not enabled, and says so.
    walk(actors) {
      let state = this.initial;
      const taken = [];
      for (const actor of actors) {
        const enabled = this.steps(state);
        const step = enabled.find((s) => nameOf(s) === actor);
        if (!step) {
          const others = [...new Set(enabled.map(nameOf))].join(", ") || "nobody";
          const refusal = `step ${taken.length + 1} is '${actor}', which is not enabled there; that leaves ${others}`;
          return { steps: taken, refusal };
        }
        taken.push(step);
        state = step.state;
      }
      return { steps: taken, refusal: null };
    }

    // A variable's value as traces show it: a flag, a name, or a hexadecimal number.
    show(variable, value) {
      if (variable.labels.length && Number(value) < variable.labels.length) {
        return variable.labels[Number(value)];
      }
      return variable.width === 0 ? Boolean(value) : `0x${value.toString(16)}`;
    }

    showState(state) {
      return Object.fromEntries(
        this.table.shared.map((v, i) => [v.name, this.show(v, state[0][i])]),
      );
    }

    schedule(steps) {
      const values = Object.entries(this.given).map(([name, value]) => {
        const variable = this.table.shared.find((v) => v.name === name);
        return `${name}=${this.show(variable, value)}`;
      });
      const head = `${this.table.id}/${this.table.platform}${values.length ? `?${values.join("&")}` : ""}`;
      const calls = this.threads.map((t) => t.calls.join(";")).join(",");
      return `${head}:${calls}:${steps.map(nameOf).join(".")}`;
    }
  }

  // Who steps, as a schedule says it: the thread, or for the kernel the command.
  function nameOf(step) {
    return step.actor === KERNEL ? step.command.name : step.actor;
  }

  // Name threads as the model does: the capital of the first call, and a number.
  function nameThreads(calls) {
    const counts = {};
    return calls.map((methods) => {
      const letter = methods[0][0].toUpperCase();
      counts[letter] = (counts[letter] || 0) + 1;
      return { name: `${letter}${counts[letter]}`, calls: methods };
    });
  }

  function readValue(variable, text) {
    const label = variable.labels.indexOf(text);
    if (label >= 0) return number(String(label), variable.width);
    if (variable.width === 0 && (text === "true" || text === "false")) return Number(text === "true");
    if (!/^(0x[0-9a-f]+|\d+)$/i.test(text) || BigInt(text) >> BigInt(variable.width || 1)) {
      throw new Refusal(`'${text}' is no value of ${variable.name}`);
    }
    return number(text, variable.width);
  }

  // Return the system of a schedule string and who is to step; a Refusal says what is wrong with it.
  function parse(tables, schedule) {
    const parts = schedule.trim().split(":");
    if (parts.length !== 3) {
      throw new Refusal(`'${schedule}' is no schedule; it has the form DESIGN/PLATFORM:CALLS:STEPS`);
    }
    const [head, calls, actors] = parts;
    const [name, values] = head.split("?");
    const table = tables.find((t) => `${t.id}/${t.platform}` === name);
    if (!table) throw new Refusal(`there is no design '${name}'`);
    if (!calls) throw new Refusal("the schedule has no threads");
    const initial = {};
    for (const pair of values ? values.split("&") : []) {
      const [key, text] = pair.split("=");
      const variable = table.shared.find((v) => v.name === key);
      if (!variable) throw new Refusal(`${table.id} has no variable '${key}'`);
      initial[key] = readValue(variable, text || "");
    }
    const threads = nameThreads(calls.split(",").map((c) => c.split(";")));
    return {
      system: new System(table, threads, initial),
      actors: actors ? actors.split(".") : [],
    };
  }

  return { System, Refusal, parse, nameOf, nameThreads, readValue, compile, KERNEL, DEADLOCK };
})();

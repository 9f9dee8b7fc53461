// One incident as a page shows it: the graph of the services, charts, logs and the timeline. It is the same for a team,
// for the trainer and for a replay. Text from the server is only ever put into text nodes.

const PLACES = { users: [50, 130], gateway: [170, 130], auth: [225, 38], orders: [330, 130], inventory: [330, 228], payments: [490, 130] };
const DASHES = { gateway: [], auth: [6, 3], inventory: [2, 2], orders: [10, 4], payments: [6, 2, 2, 2] };
const METRICS = [
  { name: "request_rate", title: "Requests a second", digits: 1 },
  { name: "error_ratio", title: "Errors", percent: true, most: 1 },
  { name: "latency_p95_s", title: "Latency p95, s", digits: 2 },
  { name: "cpu_share", title: "CPU, share of quota", percent: true, most: 1 },
  { name: "memory_share", title: "Memory, share of limit", percent: true, most: 1 },
];
const SHAPES = {
  ok: { path: "M-20 0a20 20 0 1 0 40 0a20 20 0 1 0-40 0z" },
  bad: { path: "M0-25L25 19H-25z" },
  down: { path: "M-20-20H20V20H-20z" },
  unknown: { path: "M0-24L24 0L0 24L-24 0z" },
};

export function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  return filled(made, attributes, children);
}

function svg(tag, attributes = {}, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function filled(made, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(name, value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value != null) made.setAttribute(name, String(value));
  }
  made.append(...children.filter((each) => each != null).map((each) => (each instanceof Node ? each : String(each))));
  return made;
}

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

let incidents = 0;

export class Incident {
  // `about` is what the server says once. `onChoose` is told which service the visitor looks at.
  constructor(about, onChoose = () => {}) {
    this.about = about;
    this.onChoose = onChoose;
    this.column = Object.fromEntries(about.features.map((feature, place) => [feature.name, place]));
    this.service = about.services[0];
    this.frames = [];
    this.at = -1;
    this.truth = false;
    this.root = el("div", { class: "incident" });
    this._graph();
    this._charts();
    this._table();
    this._logs();
    this._timeline();
    this._resized = new ResizeObserver(() => this._draw());
    this._resized.observe(this.chartBox);
  }

  // Show the frames up to place `at`. With `truth`, what was measured without noise.
  show(frames, at = frames.length - 1, truth = false) {
    this.frames = frames.slice(0, at + 1);
    this.at = at;
    this.truth = truth;
    this.root.dataset.step = at;
    this._drawGraph();
    this._drawAlerts();
    this._drawTable();
    this._drawLogs();
    this._drawTimeline();
    this._draw();
  }

  choose(service) {
    this.service = service;
    this._drawGraph();
    this._drawLogs();
    this.onChoose(service);
  }

  close() {
    this._resized.disconnect();
    for (const chart of this.charts) chart.plot?.destroy();
  }

  features(frame) {
    return (this.truth && frame.measured) || frame.seen;
  }

  value(frame, service, feature) {
    return this.features(frame)[this.about.services.indexOf(service)][this.column[feature]];
  }

  health(service) {
    const frame = this.frames.at(-1);
    if (!frame) return "unknown";
    if (!(this.value(frame, service, "up") >= 0.5)) return "down";
    const limits = this.about.objectives;
    const values = Object.keys(limits).map((feature) => [feature, this.value(frame, service, feature)]);
    if (values.every(([, value]) => value == null)) return "unknown";
    const misses = ([feature, value]) => value == null || (feature === "request_rate" ? value < limits[feature] : value > limits[feature]);
    return values.some(misses) ? "bad" : "ok";
  }

  _graph() {
    this.nodes = {};
    const head = `arrow-${++incidents}`;
    const edges = [["users", "gateway"], ...Object.entries(this.about.calls).flatMap(([from, all]) => all.map((to) => [from, to]))];
    this.edges = edges.map(([from, to]) => {
      const [x1, y1] = PLACES[from];
      const [x2, y2] = PLACES[to];
      const length = Math.hypot(x2 - x1, y2 - y1);
      const [dx, dy] = [((x2 - x1) / length) * 30, ((y2 - y1) / length) * 30];
      const line = svg("line", { x1: x1 + dx, y1: y1 + dy, x2: x2 - dx, y2: y2 - dy, class: "edge", "marker-end": `url(#${head})` });
      return { to, line };
    });
    const arrow = svg("marker", { id: head, viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 7, markerHeight: 7, orient: "auto" }, svg("path", { d: "M0 0L8 4L0 8z", class: "arrow" }));
    const users = svg("g", { class: "users" }, svg("text", { x: 50, y: 134, "text-anchor": "middle" }, "users"));
    const picture = svg("svg", { viewBox: "0 -25 560 315", class: "graph", role: "group", "aria-label": "The services and their calls" }, svg("defs", {}, arrow), ...this.edges.map((edge) => edge.line), users);
    for (const service of this.about.services) {
      const [x, y] = PLACES[service];
      const shape = svg("path", { class: "shape" });
      const above = service === "orders" || service === "auth"; // an arrow is below
      const name = svg("text", { y: above ? -46 : 40, "text-anchor": "middle", class: "name" }, service);
      const state = svg("text", { y: above ? -32 : 55, "text-anchor": "middle", class: "state" });
      const choose = () => this.choose(service);
      const node = svg("g", {
        transform: `translate(${x} ${y})`, class: "node", tabindex: 0, role: "button", "data-service": service, click: choose,
        keydown: (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); choose(); } },
      }, svg("circle", { r: 30, class: "ring" }), shape, name, state);
      this.nodes[service] = { node, shape, state };
      picture.append(node);
    }
    this.root.append(el("section", { class: "card graph-card" }, el("h2", {}, "Services"), picture, el("p", { class: "legend" }, "Circle: fine. Triangle: outside its objectives. Square: down. Diamond: not measured."), this._alerts()));
  }

  _alerts() {
    this.alertList = el("ul", { class: "alerts", "aria-label": "Alerts" });
    return el("div", {}, el("h3", {}, "Alerts"), this.alertList);
  }

  // The alerts of what is shown: of the noisy observations, or of what was measured. A record from a file has none.
  _drawAlerts() {
    const frame = this.frames.at(-1);
    const alerts = (this.truth && frame?.alerts_measured) || frame?.alerts;
    this.alertList.replaceChildren(...alertItems(alerts ?? [], alerts ? "No alert." : "A record has no alerts."));
  }

  _drawGraph() {
    for (const service of this.about.services) {
      const { node, shape, state } = this.nodes[service];
      const health = this.health(service);
      node.dataset.health = health;
      node.setAttribute("aria-pressed", String(service === this.service));
      shape.setAttribute("d", SHAPES[health].path);
      state.textContent = this._short(service, health);
    }
    for (const { to, line } of this.edges) line.dataset.health = this.health(to);
  }

  _short(service, health) {
    const frame = this.frames.at(-1);
    if (!frame || health === "unknown") return "not measured";
    if (health === "down") return "down";
    if (health === "ok") return "fine";
    const limits = this.about.objectives;
    const value = (feature) => this.value(frame, service, feature);
    if (value("error_ratio") > limits.error_ratio) return `errors ${Math.round(value("error_ratio") * 100)}%`;
    if (value("latency_p95_s") > limits.latency_p95_s) return `p95 ${value("latency_p95_s").toFixed(2)} s`;
    if (value("memory_share") > limits.memory_share) return `memory ${Math.round(value("memory_share") * 100)}%`;
    return "few requests";
  }

  _charts() {
    this.chartBox = el("div", { class: "charts" });
    this.charts = METRICS.map((metric) => {
      const box = el("div", { class: "chart", role: "img", "data-metric": metric.name });
      this.chartBox.append(el("figure", {}, el("figcaption", {}, metric.title), box));
      return { metric, box, plot: null };
    });
    this.legend = el("ul", { class: "series" }, ...this.about.services.map((service) => el("li", {}, el("span", { class: `swatch ${service}`, "aria-hidden": "true" }), service)));
    this.root.append(el("section", { class: "card charts-card" }, el("h2", {}, "Metrics"), this.legend, this.chartBox, el("p", { class: "legend" }, "Upright lines: actions. Level line: the objective.")));
  }

  _draw() {
    const steps = this.frames.map((frame) => frame.step);
    for (const chart of this.charts) {
      const rows = this.about.services.map((service) => this.frames.map((frame) => this.value(frame, service, chart.metric.name)));
      const width = Math.floor(chart.box.clientWidth);
      if (width < 40) continue;
      if (!chart.plot) chart.plot = this._plot(chart, width);
      if (chart.plot.width !== width) chart.plot.setSize({ width, height: 130 });
      chart.plot.setData([steps, ...rows]);
      const last = this.about.services.map((service, place) => `${service} ${shown(chart.metric, rows[place].at(-1))}`);
      chart.box.setAttribute("aria-label", `${chart.metric.title} now: ${last.join(", ")}`);
    }
  }

  _plot(chart, width) {
    const limit = this.about.objectives[chart.metric.name];
    const marks = (plot) => {
      const { ctx, bbox } = plot;
      ctx.save();
      ctx.lineWidth = 1;
      ctx.strokeStyle = colour("muted");
      for (const frame of this.frames) {
        if (!frame.action || frame.action === "wait") continue;
        const x = Math.round(plot.valToPos(frame.step, "x", true)) + 0.5;
        ctx.setLineDash(frame.action.startsWith("check_logs") ? [1, 4] : frame.action.startsWith("diagnose") ? [5, 4] : []);
        ctx.beginPath();
        ctx.moveTo(x, bbox.top);
        ctx.lineTo(x, bbox.top + bbox.height);
        ctx.stroke();
      }
      const y = limit == null ? NaN : plot.valToPos(limit, "y", true);
      if (y > bbox.top) {
        ctx.setLineDash([2, 3]);
        ctx.strokeStyle = colour("bad");
        ctx.beginPath();
        ctx.moveTo(bbox.left, y);
        ctx.lineTo(bbox.left + bbox.width, y);
        ctx.stroke();
      }
      ctx.restore();
    };
    const axis = { stroke: () => colour("text"), grid: { stroke: () => colour("line"), width: 1 }, ticks: { show: false }, font: "12px sans-serif" };
    const options = {
      width,
      height: 130,
      legend: { show: false },
      cursor: { drag: { x: false, y: false } },
      scales: {
        x: { time: false, range: (_, from, to) => [0, Math.max(10, to ?? 0)] },
        y: { range: (_, from, to) => [0, Math.max((to ?? 0) * 1.1, chart.metric.most ?? 0.1)] },
      },
      axes: [{ ...axis, size: 24, incrs: [1, 2, 5, 10] }, { ...axis, size: 44, values: (_, values) => values.map((value) => shown(chart.metric, value)) }],
      series: [{}, ...this.about.services.map((service) => ({ label: service, stroke: () => colour(service), width: 2, dash: DASHES[service], points: { show: false } }))],
      hooks: { draw: [marks] },
    };
    return new window.uPlot(options, [[], ...this.about.services.map(() => [])], chart.box);
  }

  _table() {
    this.rows = el("tbody");
    const head = el("tr", {}, el("th", { scope: "col" }, "service"), ...this.about.features.map((feature) => el("th", { scope: "col" }, feature.heading)));
    this.root.append(el("section", { class: "card table-card" }, el("h2", {}, "Values now"), el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Values now" }, el("table", {}, el("thead", {}, head), this.rows))));
  }

  _drawTable() {
    const frame = this.frames.at(-1);
    this.rows.replaceChildren(...(frame ? this.about.services : []).map((service) => {
      const cells = this.about.features.map((feature) => el("td", {}, cell(feature.name, this.value(frame, service, feature.name))));
      return el("tr", { "data-health": this.health(service) }, el("th", { scope: "row" }, service), ...cells);
    }));
  }

  _logs() {
    this.search = el("input", { type: "search", placeholder: "search", "aria-label": "Search these lines", input: () => this._drawLogs() });
    this.logTitle = el("h2", {}, "Logs");
    this.lines = el("ol", { class: "lines", tabindex: 0, "aria-label": "Log lines" });
    this.root.append(el("section", { class: "card logs-card" }, el("div", { class: "row" }, this.logTitle, this.search), this.lines));
  }

  _drawLogs() {
    const wanted = this.search.value.toLowerCase();
    const read = this.frames.filter((frame) => frame.logs_of === this.service);
    this.logTitle.textContent = `Log of ${this.service}`;
    const items = read.toReversed().flatMap((frame) => [
      el("li", { class: "when" }, `read at step ${frame.step}`),
      ...frame.logs.toReversed().filter((line) => `${line.level} ${line.event} ${line.text}`.toLowerCase().includes(wanted)).map((line) => el("li", { class: `line ${line.level}` }, `${line.age_s.toFixed(1)} s ago  ${line.level}  ${line.event}  ${line.text}`)),
    ]);
    this.lines.replaceChildren(...(items.length ? items : [el("li", { class: "when" }, "Nobody has read this log. Reading it takes a step.")]));
    this.lines.dataset.service = this.service;
  }

  _timeline() {
    this.events = el("ol", { class: "events", tabindex: 0, "aria-label": "Timeline" });
    this.root.append(el("section", { class: "card timeline-card" }, el("h2", {}, "Timeline"), this.events));
  }

  _drawTimeline() {
    const items = this.frames.filter((frame) => frame.action).toReversed().map((frame) => el("li", { "data-action": frame.action }, el("span", { class: "step" }, `${frame.step}`), el("span", { class: "what" }, `${frame.action}`), el("span", { class: "reward" }, signed(frame.reward)), el("span", { class: "result" }, frame.result), frame.votes ? el("span", { class: "result votes" }, fell(frame.votes)) : null));
    this.events.replaceChildren(...(items.length ? items : [el("li", { class: "when" }, "Nothing was done yet.")]));
  }
}

// How the votes on a step fell, in words.
const fell = (votes) => (votes.length ? `votes: ${votes.map((side) => `${side.action} ${side.teams.length} (${side.teams.join(", ")})`).join("; ")}` : "nobody voted");

// Alerts as items of a list: those that fire first. The state is said in words too.
export function alertItems(alerts, none) {
  const order = [...alerts].sort((one, other) => (one.state === other.state ? 0 : one.state === "firing" ? -1 : 1));
  const items = order.map((each) => el("li", { "data-alert": each.name, "data-service": each.service, "data-state": each.state, "data-severity": each.severity },
    el("strong", {}, each.state), ` ${each.name}${each.service ? ` on ${each.service}` : ""} (${each.severity})`));
  return items.length ? items : [el("li", { class: "when" }, none)];
}

export const signed = (points) => (points === 0 ? "0" : `${points > 0 ? "+" : "\u2212"}${Math.abs(points).toFixed(1)}`);

function shown(metric, value) {
  if (value == null) return "\u2013";
  return metric.percent ? `${Math.round(value * 100)}%` : value.toFixed(value >= 10 ? 0 : metric.digits);
}

function cell(feature, value) {
  if (value == null) return "\u2013";
  if (feature === "up") return value >= 0.5 ? "yes" : "no";
  if (["error_ratio", "cpu_share", "memory_share"].includes(feature)) return `${(value * 100).toFixed(feature === "error_ratio" ? 1 : 0)}%`;
  return value.toFixed(feature === "latency_p95_s" ? 3 : 1);
}

// One or two episodes, forwards and backwards. The page of a trainer, and of a team whose incident is over, has one.
export class Replay {
  constructor(about) {
    this.about = about;
    this.tapes = [];
    this.at = 0;
    this.timer = null;
    this.slider = el("input", { type: "range", min: 0, value: 0, "aria-label": "Step", input: () => this.go(Number(this.slider.value)) });
    this.speed = el("select", { "aria-label": "Speed" }, ...[0.5, 1, 2, 5, 10].map((speed) => el("option", { value: speed, selected: speed === 2 }, `${speed} steps a second`)));
    this.playing = el("button", { type: "button", click: () => this.toggle() }, "Play");
    this.where = el("output", { class: "where" });
    const move = (by) => () => { this.stop(); this.go(this.at + by); };
    this.sides = el("div", { class: "sides" });
    this.gap = el("div", { class: "gap" });
    this.root = el("div", { class: "replay" },
      el("div", { class: "row controls" }, el("button", { type: "button", click: move(-1) }, "Step back"), this.playing, el("button", { type: "button", click: move(1) }, "Step forward"), this.slider, this.speed, this.where),
      this.gap, this.sides);
  }

  // Show one tape, or two beside each other.
  load(tapes) {
    this.stop();
    for (const side of this.incidents ?? []) side.close();
    this.tapes = tapes;
    this.incidents = tapes.map(() => new Incident(this.about));
    this.heads = tapes.map((tape) => el("h3", {}, `${tape.player} in ${tape.world}`));
    this.thoughts = tapes.map(() => el("ul", { class: "thoughts", "aria-label": "What it believes" }));
    this.states = tapes.map(() => el("p", { class: "doing" }));
    this.sides.replaceChildren(...tapes.map((_, place) => el("div", { class: "side" }, this.heads[place], this.states[place], this.thoughts[place], this.incidents[place].root)));
    this.sides.dataset.tapes = tapes.length;
    this.last = Math.max(0, ...tapes.map((tape) => tape.frames.length - 1));
    this.slider.max = this.last;
    this.go(0);
  }

  go(at) {
    this.at = Math.min(Math.max(at, 0), this.last);
    this.slider.value = this.at;
    this.root.dataset.step = this.at;
    this.where.textContent = `step ${this.at} of ${this.last}`;
    this.tapes.forEach((tape, place) => {
      const here = Math.min(this.at, tape.frames.length - 1);
      this.incidents[place].show(tape.frames, here, true);
      this.thoughts[place].replaceChildren(...(tape.frames[here]?.thoughts ?? []).map((text) => el("li", {}, text)));
      const earned = tape.frames.slice(0, here + 1).reduce((sum, frame) => sum + frame.reward, 0);
      const ended = tape.report && here === tape.frames.length - 1 ? `, ${tape.report.outcome}` : "";
      this.states[place].textContent = `${tape.frames[here]?.action ?? "nothing was done yet"}; ${earned.toFixed(1)} points${ended}`;
    });
    this._drawGap();
    if (this.at === this.last) this.stop();
  }

  toggle() {
    if (this.timer) return this.stop();
    if (this.at === this.last) this.go(0);
    this.playing.textContent = "Pause";
    const next = () => { this.timer = setTimeout(() => { next(); this.go(this.at + 1); }, 1000 / Number(this.speed.value)); };
    next();
  }

  stop() {
    clearTimeout(this.timer);
    this.timer = null;
    this.playing.textContent = "Play";
  }

  // How far two episodes are apart at this step: the mean over the services of what differs, and the bars of it.
  _drawGap() {
    if (this.tapes.length < 2) return this.gap.replaceChildren();
    const [one, other] = this.incidents;
    const frames = this.tapes.map((tape) => tape.frames[Math.min(this.at, tape.frames.length - 1)]);
    const rows = METRICS.map((metric) => {
      const differences = this.about.services.map((service) => [one.value(frames[0], service, metric.name), other.value(frames[1], service, metric.name)]).filter((pair) => pair.every((value) => value != null)).map(([a, b]) => Math.abs(a - b));
      const mean = differences.length ? differences.reduce((sum, each) => sum + each, 0) / differences.length : null;
      const full = { request_rate: 40, latency_p95_s: 1 }[metric.name] ?? 1;
      return el("tr", {}, el("th", { scope: "row" }, metric.title), el("td", {}, shown(metric, mean)), el("td", {}, el("meter", { min: 0, max: full, value: mean ?? 0, "aria-label": `gap of ${metric.title}` })));
    });
    this.gap.replaceChildren(el("table", { class: "card" }, el("caption", {}, "The gap at this step: mean difference over the services"), el("tbody", {}, ...rows)));
  }
}

// A record (docs/records.md) as a tape. Throws an Error that says what is wrong.
export function tapeOfRecord(text) {
  const lines = text.split("\n").filter((line) => line.trim()).map((line) => JSON.parse(line));
  const [header, ...rest] = lines;
  if (header?.schema !== "mirr-rollout") throw new Error("this file is not a record of an episode");
  const frames = rest.filter((line) => line.kind === "step").map((line) => ({
    step: line.step, action: line.action, result: line.result ?? "", reward: line.reward, seen: line.observation, measured: line.measured,
    logs: line.logs ?? [], logs_of: line.action?.match(/^check_logs\((\w+)\)$/)?.[1] ?? null,
  }));
  if (!frames.length) throw new Error("this record has no steps");
  return { player: header.policy, world: header.world, max_steps: header.config.max_steps, frames, report: rest.find((line) => line.kind === "end")?.report ?? null };
}

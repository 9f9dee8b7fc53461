// The incident room in a browser: the way in, the connection, and what a team, a trainer and a spectator see.
// It asks nothing of any other server, and text from this one is only ever put into text nodes.

import { Incident, Replay, alertItems, el, signed, tapeOfRecord } from "/incident.js";
import { Paper, download } from "/paper.js";

const by = (id) => document.getElementById(id);
const say = (text) => { by("says").textContent = text; };
const newId = () => Array.from(crypto.getRandomValues(new Uint32Array(4)), (each) => each.toString(36)).join("");

// Seats: who this browser is in which room. The tokens never appear in an address that is sent.

const SEATS = "mirr-room-seats";
const SEAT = "mirr-room-seat";
const stored = (place, name, otherwise) => { try { return JSON.parse(place.getItem(name)) ?? otherwise; } catch { return otherwise; } };
const seats = () => stored(localStorage, SEATS, []);

function keepSeat(seat) {
  sessionStorage.setItem(SEAT, JSON.stringify(seat));
  if (seat.token) localStorage.setItem(SEATS, JSON.stringify([seat, ...seats().filter((each) => each.token !== seat.token)].slice(0, 5)));
}

// The seat that a link gives; null if it gives none.
function seatOf(text) {
  try {
    const { code, token, name, lead } = JSON.parse(text) ?? {};
    return typeof code === "string" && typeof token === "string" ? { code, token, name, lead } : null;
  } catch { return null; }
}

function forgetSeat(seat) {
  sessionStorage.removeItem(SEAT);
  localStorage.setItem(SEATS, JSON.stringify(seats().filter((each) => each.token !== seat.token)));
}

async function post(path, content, token) {
  const headers = { "content-type": "application/json" };
  if (token) headers.authorization = `Bearer ${token}`;
  const response = await fetch(path, { method: "POST", headers, body: JSON.stringify(content) });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.why ?? "that did not work");
  return answer;
}

// The connection. It comes back by itself, asks for everything anew, and repeats an action that got no answer: the
// server does each id once.

class Link {
  constructor(seat, heard, gone) {
    Object.assign(this, { seat, heard, gone, waiting: new Map(), tries: 0, left: false });
    this._open();
  }

  _open() {
    this.socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws`);
    this.socket.onopen = () => this.socket.send(JSON.stringify({ code: this.seat.code, token: this.seat.token ?? null }));
    this.socket.onmessage = (event) => this._message(JSON.parse(event.data));
    this.socket.onclose = (event) => this._closed(event.code);
  }

  _message(message) {
    if (message.type === "welcome") {
      this.tries = 0;
      by("link").textContent = "connected";
      document.body.dataset.link = "connected";
      for (const each of this.waiting.values()) this.socket.send(each.text);
    }
    const asked = this.waiting.get(message.id);
    if (asked) {
      this.waiting.delete(message.id);
      if (message.type === "done") asked.resolve(message);
      else asked.reject(new Error(message.why));
      return;
    }
    this.heard(message);
  }

  _closed(code) {
    if (this.left) return;
    for (const [id, each] of this.waiting) if (!each.repeat) { this.waiting.delete(id); each.reject(new Error("the connection was lost; try again")); }
    if (code === 4404) return this.gone("There is no such room, or you are not in it any more.");
    const limited = code === 4429; // others behind this address tried too many codes: the seat is kept
    document.body.dataset.link = limited ? "limited" : "lost";
    by("link").textContent = limited ? "too many wrong codes from your network; this page tries again by itself, within a minute" : "connection lost; it comes back by itself";
    const wait = (limited ? 8000 : Math.min(8000, 300 * 2 ** this.tries++)) * (0.75 + Math.random() / 2);
    this.timer = setTimeout(() => this._open(), wait);
  }

  ask(what, fields = {}, repeat = false) {
    const id = newId();
    const text = JSON.stringify({ do: what, id, ...fields });
    return new Promise((resolve, reject) => {
      if (this.socket.readyState !== WebSocket.OPEN && !repeat) return reject(new Error("there is no connection now; it comes back by itself"));
      this.waiting.set(id, { text, resolve, reject, repeat });
      if (this.socket.readyState === WebSocket.OPEN) this.socket.send(text);
    });
  }

  leave() {
    this.left = true;
    clearTimeout(this.timer);
    this.socket.close();
  }
}

// A visit to a room.

const LETTERS = { l: "check_logs", r: "restart", b: "rollback", s: "scale_up" };
const NAMES = { check_logs: "Check logs", restart: "Restart", rollback: "Roll back", scale_up: "Scale up" };

class Visit {
  constructor(seat, orders = []) {
    this.seat = seat;
    this.orders = orders; // what a new trainer's room begins with
    this.frames = [];
    this.busy = false;
    this.link = new Link(seat, (message) => this.heard(message), (why) => leave(why));
    this.keys = (event) => this.key(event);
    document.addEventListener("keydown", this.keys);
    this.timer = setInterval(() => this.drawClock(), 250);
    screen("room");
    by("leave").hidden = false;
  }

  end() {
    this.link.leave();
    clearInterval(this.timer);
    document.removeEventListener("keydown", this.keys);
    this.incident?.close();
    this.replay?.stop();
    this.paper?.close();
    for (const id of ["lead", "panel", "incident", "answer", "replay", "replay-choices", "board"]) by(id).replaceChildren();
    for (const id of ["lead", "panel", "answer", "replay-card"]) by(id).hidden = true;
  }

  async ask(what, fields, repeat) {
    try {
      return await this.link.ask(what, fields, repeat);
    } catch (error) {
      say(error.message);
      return null;
    }
  }

  async heard(message) {
    if (message.type === "welcome") {
      document.body.dataset.role = message.role;
      if (!this.about) this.begin(message);
      if (this.watched) this.ask("watch", { team: this.watched });
      for (const [what, fields] of this.orders.splice(0)) await this.ask(what, fields);
    }
    if (message.type === "view") this.seen(message);
  }

  begin(message) {
    this.about = message.about;
    this.role = message.role;
    this.incident = new Incident(this.about, () => this.drawPanel());
    this.replay = new Replay(this.about);
    this.paper = new Paper(by("paper"));
    if (this.role !== "public") by("incident").append(this.incident.root);
    by("replay").append(this.replay.root);
    if (this.role === "trainer") this.buildLead();
    if (this.role === "player") this.buildPanel();
  }

  seen(view) {
    const began = this.view?.room.round !== view.room.round;
    const hadStep = began ? 0 : this.view?.team?.step ?? 0;
    this.view = view;
    this.heardAt = performance.now();
    if (view.team) this.frames = [...this.frames.slice(0, view.team.since), ...view.team.frames];
    else this.frames = [];
    if (began) this.paper.close();
    if (began) { this.shownTruth = false; this.loaded = null; }
    document.body.dataset.phase = view.room.phase;
    document.body.dataset.round = view.room.round;
    by("place").textContent = `${view.room.code}${this.seat.name && this.role === "player" ? ` · ${this.seat.name}` : ""}`;
    by("title").textContent = view.incident?.title ?? "The lobby";
    by("symptom").textContent = view.incident?.symptom ?? "Wait until the trainer chooses an incident.";
    by("phase").textContent = this.phaseText();
    const showTruth = Boolean(view.team?.truth) && (this.role === "trainer" ? !this.noisy : this.shownTruth);
    this.incident.root.hidden = !view.team || !this.frames.length;
    this.incident.show(this.frames, this.frames.length - 1, showTruth);
    this.drawClock();
    this.drawBoard();
    this.drawAnswer();
    this.drawPanel();
    this.drawLead();
    this.drawReplayChoices();
    const last = this.frames.at(-1);
    if (this.role === "player" && last?.votes && last.step === hadStep + 1) say(`step ${last.step}: ${last.action} was played`);
  }

  phaseText() {
    const { room, incident } = this.view;
    if (!incident) return "";
    const how = `${incident.difficulty}; ${incident.max_steps} steps of ${incident.step_s} s; round ${room.round}`;
    const said = { lobby: "The round begins when the trainer starts it. ", running: "", paused: "Paused. ", over: "This round is over. " }[room.phase];
    return said + this.labText() + how;
  }

  // Where all share one lab: who has it, and what takes a while.
  labText() {
    const { shared, holder, doing, vote, phase } = this.view.room;
    if (vote && phase === "running" && vote.needs_start) return "Nobody has the lab; the trainer can take it again. ";
    if (vote && phase === "lobby") return "All teams play it together, and vote on each step. ";
    if (!shared || !holder) return "";
    const whose = vote ? "All teams vote on the lab" : holder === this.view.team?.name && this.role === "player" ? "You have the lab" : `${holder} has the lab`;
    const what = { opening: "it is brought to steady state, then something breaks; this takes 10 to 30 s", acting: "a step goes on", leaving: "it is put back as it was" }[doing];
    return `${whose}${what ? `: ${what}` : ""}. `;
  }

  drawClock() {
    if (!this.view?.incident) return;
    const { phase, elapsed_s, limit_s } = this.view.room;
    const seconds = elapsed_s + (phase === "running" ? (performance.now() - this.heardAt) / 1000 : 0);
    const left = limit_s ? Math.max(0, limit_s - seconds) : seconds;
    const text = `${String(Math.floor(left / 60)).padStart(2, "0")}:${String(Math.floor(left % 60)).padStart(2, "0")}${limit_s ? " left" : ""}`;
    if (by("clock").textContent !== text) by("clock").textContent = text;
    this.drawVoteClock();
  }

  drawVoteClock() {
    const vote = this.view.room.vote;
    const left = vote?.left_s == null ? null : Math.max(0, vote.left_s - (performance.now() - this.heardAt) / 1000);
    const text = vote?.open && left != null ? `${Math.ceil(left)} s left` : "";
    for (const clock of document.querySelectorAll("[data-vote=clock]")) if (clock.textContent !== text) clock.textContent = text;
  }

  // Where teams vote: how far the vote has come. The seconds stand apart, so that a screen reader does not say each.
  buildVote() {
    this.voteText = el("span", { role: "status", "data-vote": "text" });
    this.voteBox = el("p", { class: "vote", hidden: true }, this.voteText, " ", el("span", { role: "timer", "aria-label": "Clock of the vote", "data-vote": "clock" }));
    return this.voteBox;
  }

  drawVote() {
    const { room: { vote, doing }, ballot } = this.view;
    if (!this.voteBox) return;
    this.voteBox.hidden = !(vote && (vote.open || doing === "acting"));
    if (this.voteBox.hidden) return;
    const counts = ballot.counts.map((side) => `${side.action} ${side.votes}`).join(", ");
    const text = vote.open ? `Vote: ${vote.voted} of ${vote.of} teams have voted${counts ? `: ${counts}` : ""}.${ballot.own ? ` Your vote: ${ballot.own}.` : ""}` : "The vote is closed, and its step goes on.";
    if (this.voteText.textContent !== text) this.voteText.textContent = text;
    this.drawVoteClock();
  }

  drawBoard() {
    const head = el("thead", {}, el("tr", {}, ...["name", "state", "steps", "score", "hints", "clean", "failed requests"].map((name) => el("th", { scope: "col" }, name))));
    const yes = (value) => (value == null ? "" : value ? "yes" : "no");
    const rows = this.view.board.map((row) => el("tr", { class: !row.agent && row.name === this.seat.name && this.role === "player" ? "own" : "", "data-name": row.name, "data-agent": row.agent ? "yes" : "no", "data-state": row.state },
      el("th", { scope: "row" }, row.agent ? `${row.name} (agent)` : row.name), el("td", {}, row.state), el("td", {}, row.steps), el("td", {}, row.score.toFixed(1)), el("td", {}, row.hints), el("td", {}, yes(row.clean)), el("td", {}, row.failed_requests ?? "")));
    by("board").replaceChildren(head, el("tbody", {}, ...rows));
  }

  drawAnswer() {
    const { answer, team } = this.view;
    const report = team?.report;
    by("answer").hidden = !(answer || report);
    const faults = (answer?.scenario.faults ?? []).map((fault) => `${fault.mode}${fault.form ? `/${fault.form}` : ""} on ${fault.service}${fault.at_step ? ` at step ${fault.at_step}` : ""}`);
    const lines = [];
    if (answer) lines.push(["What was broken", faults.join("; ") || "nothing"], ["Debrief", answer.debrief], ["Seed", String(answer.seed)]);
    if (report) lines.push(["Outcome", `${report.outcome}: ${report.reason}`], ["Diagnosis", report.diagnosis ? `${report.diagnosis.mode} on ${report.diagnosis.service ?? "nothing"} (${report.diagnosis.correct ? "correct" : "wrong"})` : "none"],
      ["Harm", `${report.harm.failed_requests} failed user requests, ${report.harm.objective_lost_s} s outside objectives, ${report.harm.needless_actions} needless actions`], ["Mitigated", report.steps_to_mitigate == null ? "no" : `after ${report.steps_to_mitigate} steps`]);
    const harm = this.role === "trainer" && team ? this.view.harm[team.name] : null;
    if (harm && !report) lines.push(["Harm so far", `${harm.failed_requests} failed user requests, ${harm.objective_lost_s} s outside objectives`]);
    const parts = [el("h2", {}, this.role === "trainer" ? "The truth" : "How it went"), el("dl", {}, ...lines.flatMap(([name, text]) => [el("dt", {}, name), el("dd", {}, text)])), this.papers(team)];
    by("answer").replaceChildren(...parts.filter(Boolean));
  }

  // What can be taken away of the team that is shown.

  papers(team) {
    if (!team) return null;
    const ask = (what) => this.ask(`${this.role === "trainer" ? "team" : "own"}_${what}`, { team: team.name });
    const write = async () => { const answer = await ask("paper"); if (answer) this.paper.show(answer, `postmortem-${this.view.room.code}-${this.view.room.round}`); };
    const record = async () => { const answer = await ask("record"); if (answer) download(`episode-${this.view.room.code}-${this.view.room.round}.jsonl`, answer.record); };
    return el("div", { class: "row" }, team.report ? el("button", { type: "button", "data-paper": "postmortem", click: write }, "Post-mortem") : null, el("button", { type: "button", "data-paper": "record", click: record }, "Download the record"));
  }

  // The panel of a team

  buildPanel() {
    const gauge = (name) => { const value = el("dd", { "data-gauge": name }); return [el("div", {}, el("dt", {}, name), value), value]; };
    const [left, leftValue] = gauge("steps left");
    const [score, scoreValue] = gauge("score");
    const [needless, needlessValue] = gauge("points lost");
    this.gauges = { left: leftValue, score: scoreValue, lost: needlessValue };
    this.services = this.about.services.map((service, place) => el("button", { type: "button", "data-choose": service, click: () => this.incident.choose(service) }, `${place + 1} ${service}`));
    this.acts = Object.entries(NAMES).map(([kind, name]) => el("button", { type: "button", "data-act": kind, click: () => this.act(`${kind}(${this.incident.service})`) }, `${name} (${Object.keys(LETTERS).find((key) => LETTERS[key] === kind)})`));
    this.modes = this.about.modes.map((mode) => el("button", { type: "button", "data-diagnose": mode, click: () => this.act(`diagnose(${this.incident.service}, ${mode})`) }, mode));
    this.none = el("button", { type: "button", "data-diagnose": "none", click: () => this.act("diagnose(none)") }, "nothing is broken");
    this.wait = el("button", { type: "button", "data-act": "wait", click: () => this.act("wait") }, "Wait (w)");
    this.turn = el("button", { type: "button", class: "main", "data-turn": true, click: () => this.ask("take_turn") }, "Take the lab");
    this.hint = el("button", { type: "button", "data-hint": true, click: () => this.ask("hint") }, "Hint");
    this.hintList = el("ol", { class: "hints" });
    this.shortcuts = el("input", { type: "checkbox", checked: true });
    this.legend = el("legend", {});
    this.form = el("fieldset", { class: "actions" }, this.legend,
      el("div", { class: "row" }, ...this.services), el("div", { class: "row" }, ...this.acts, this.wait),
      el("fieldset", {}, el("legend", {}, "Diagnose: the first one counts, and only before the right fix"), el("div", { class: "row" }, ...this.modes, this.none)));
    this.invite = el("button", { type: "button", click: () => this.copyLink() }, "Copy a link for a teammate");
    this.truthBox = el("input", { type: "checkbox", change: () => { this.shownTruth = this.truthBox.checked; this.seen({ ...this.view, team: { ...this.view.team, since: this.frames.length, frames: [] } }); } });
    this.truthLabel = el("label", { hidden: true }, this.truthBox, " without noise");
    this.again = el("button", { type: "button", class: "main", "data-again": true, hidden: true, click: async () => { await begin(this.seat.code, this.seat.lead); if (shared) this.ask("take_turn"); } }, "Another incident");
    by("panel").append(el("h2", {}, "Your team"), el("dl", { class: "gauges" }, left, score, needless), this.turn, this.again, this.buildVote(), this.form,
      el("div", { class: "row" }, this.hint, this.invite, this.truthLabel, el("label", {}, this.shortcuts, " keys: 1 to 5, l, r, b, s, w")), this.hintList);
    by("panel").hidden = false;
  }

  drawPanel() {
    if (this.role !== "player" || !this.view) return;
    const { team, hints, incident, room } = this.view;
    const can = team.playing && room.phase === "running" && !this.busy && !team.busy;
    this.gauges.left.textContent = team.steps_left ?? incident?.max_steps ?? "";
    this.gauges.score.textContent = team.score.toFixed(1);
    this.gauges.lost.textContent = this.frames.filter((frame) => frame.reward < 0).reduce((sum, frame) => sum - frame.reward, team.reward - team.score).toFixed(1);
    document.body.dataset.step = team.step;
    document.body.dataset.playing = team.playing ? "yes" : "no";
    this.form.disabled = !(can && (!room.vote || room.vote.open));
    const legend = room.vote ? "Choose a service, then vote. The action with the most votes is played, and takes a step." : "Choose a service, then act. Each action takes a step.";
    if (this.legend.textContent !== legend) this.legend.textContent = legend;
    this.drawVote();
    for (const button of this.services) button.setAttribute("aria-pressed", String(button.dataset.choose === this.incident.service));
    this.none.hidden = !incident?.actions.includes("diagnose(none)");
    this.turn.hidden = !(room.shared && !room.vote && room.phase === "running" && (!this.frames.length || team.void));
    this.turn.disabled = Boolean(room.holder);
    this.again.hidden = !(this.seat.lead && (team.report || team.void));
    this.hint.hidden = Boolean(room.vote);
    this.hint.disabled = !can || hints.next_cost == null;
    this.hint.textContent = hints.next_cost == null ? "No more hints" : `Hint (costs ${hints.next_cost} points)`;
    this.truthLabel.hidden = !team.truth;
    this.hintList.replaceChildren(...hints.bought.map((hint) => el("li", {}, `${hint.text} (${signed(-hint.cost)})`)));
    document.body.dataset.busy = team.busy ? "yes" : "no";
    if (team.answer_waits) by("phase").textContent = "You are done. Your team joined while the round was played, so it sees the answer when the round is over.";
    if (team.void) by("phase").textContent = `The world failed, so this incident is void for your team.${room.shared && room.phase === "running" ? (room.vote ? " The trainer can take the lab again." : " You can take the lab again.") : ""}`;
  }

  async act(action) {
    if (this.busy || this.form.disabled) return;
    this.busy = true;
    this.drawPanel();
    const step = this.view.team.step;
    const voted = this.view.room.vote !== null;
    const done = await this.ask(voted ? "vote" : "act", { action, step }, true);
    this.busy = false;
    if (done) say(voted ? `you vote for ${action}` : `step ${step + 1}: ${action}`);
    if (done && action.startsWith("check_logs")) this.incident.choose(this.incident.service);
    this.drawPanel();
  }

  key(event) {
    if (this.role !== "player" || !this.shortcuts.checked || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input:not([type=checkbox]), select, textarea")) return;
    const service = this.about.services[Number(event.key) - 1];
    if (service) this.incident.choose(service);
    else if (LETTERS[event.key]) this.act(`${LETTERS[event.key]}(${this.incident.service})`);
    else if (event.key === "w") this.act("wait");
  }

  async copyLink() {
    const link = `${location.origin}/#seat=${encodeURIComponent(JSON.stringify({ ...this.seat, lead: undefined }))}`;
    try { await navigator.clipboard.writeText(link); say("The link is copied. Whoever has it plays for your team."); } catch { say(link); }
  }

  // The trainer's panel

  buildLead() {
    this.what = el("select", { id: "what", "aria-label": "Incident" });
    this.seed = el("input", { id: "seed", type: "number", min: 0, value: Math.floor(Math.random() * 10000), "aria-label": "Seed" });
    this.minutes = el("input", { id: "minutes", type: "number", min: 0, max: 1440, value: 10, "aria-label": "Minutes; 0: no limit" });
    const button = (name, what, fields = () => ({})) => el("button", { type: "button", "data-lead": what, click: async () => {
      if (what === "choose" && !this.mayReset()) return;
      if ((await this.ask(what, fields())) && what === "choose") say("chosen; next: start");
    } }, name);
    this.way = el("select", { id: "way" }, el("option", { value: "turns" }, "in turn"), el("option", { value: "vote" }, "by vote"));
    this.voteSeconds = el("input", { id: "vote-seconds", type: "number", min: 0, max: 3600, value: 20, "aria-label": "Seconds of a vote; 0: until all have voted" });
    this.wayBox = el("span", { class: "row", hidden: true }, el("label", {}, "Teams play ", this.way), el("label", {}, "Seconds of a vote ", this.voteSeconds));
    const sharing = () => (this.view.room.shared ? { way: this.way.value, vote_s: Number(this.voteSeconds.value) } : {});
    this.leads = { choose: button("Choose", "choose", () => ({ incident: this.chosen(), limit_s: Number(this.minutes.value) * 60, ...sharing() })), close_vote: button("Close the vote", "close_vote"), start: button("Start", "start"), pause: button("Pause", "pause"), end: button("End", "end"), reveal: button("Reveal", "reveal") };
    this.leads.start.classList.add("main");
    this.teamList = el("ul", { class: "teams" });
    this.fired = el("ul", { class: "alerts", "aria-label": "Alerts of the lab's Prometheus" });
    this.firedBox = el("div", { hidden: true }, el("h3", {}, "Prometheus of the lab fires"), this.fired);
    this.noise = el("input", { type: "checkbox", change: () => { this.noisy = this.noise.checked; this.ask("watch", { team: this.watched ?? null }); } });
    by("lead").append(el("h2", {}, "Lead"), el("p", {}, "Join code"), el("p", { class: "code", id: "join-code" }, this.seat.code),
      el("div", { class: "row" }, el("label", {}, "Incident ", this.what), el("label", {}, "Seed ", this.seed), el("label", {}, "Minutes ", this.minutes), this.wayBox, this.leads.choose),
      el("div", { class: "row" }, this.leads.start, this.leads.pause, this.leads.end, this.leads.reveal, el("label", {}, this.noise, " with the noise that the team sees")), el("div", { class: "row" }, this.leads.close_vote, this.buildVote()), this.teamList, this.firedBox);
    by("lead").hidden = false;
    this.ask("choices").then((answer) => {
      if (!answer) return;
      const packs = answer.packs.map((pack) => el("option", { value: `pack:${pack.id}` }, `${pack.title} (${pack.difficulty})`));
      const tiers = ["easy", "medium", "hard"].map((tier) => el("option", { value: `tier:${tier}` }, `drawn by the seed, ${tier}`));
      this.what.replaceChildren(el("optgroup", { label: "Drawn" }, ...tiers), el("optgroup", { label: "Packs" }, ...packs));
      this.drawReplayChoices();
    });
  }

  chosen() {
    const [kind, name] = this.what.value.split(":");
    return kind === "pack" ? { pack: name } : { tier: name, seed: Number(this.seed.value) };
  }

  // Choosing takes the place of the round, and of all that teams did in it.
  mayReset() {
    if (!["running", "paused"].includes(this.view.room.phase)) return true;
    return confirm("A round is being played. Choosing resets it: what the teams did is lost. Choose all the same?");
  }

  drawLead() {
    if (this.role !== "trainer") return;
    const { phase, shared, vote } = this.view.room;
    const again = phase === "running" && Boolean(vote?.needs_start);
    this.wayBox.hidden = !shared;
    this.leads.start.disabled = !this.view.incident || (phase === "running" && !again) || phase === "over";
    this.leads.start.textContent = again ? "Take the lab again" : phase === "paused" ? "Go on" : "Start";
    this.leads.close_vote.hidden = !vote;
    this.leads.close_vote.disabled = !vote?.open;
    this.drawVote();
    this.leads.pause.disabled = phase !== "running";
    this.leads.end.disabled = phase === "over" || phase === "lobby";
    this.leads.reveal.disabled = !this.view.incident || this.view.room.revealed;
    this.firedBox.hidden = !this.view.room.shared;
    this.fired.replaceChildren(...alertItems(this.view.fired ?? [], this.view.fired ? "No alert." : "It does not answer."));
    const watch = (name) => () => { this.watched = name; this.ask("watch", { team: name }); };
    const playing = this.view.board.filter((row) => !row.agent).map((row) => row.name);
    const names = [...playing, ...this.view.teams.filter((name) => !playing.includes(name))]; // where teams vote, they play as one
    this.teamList.replaceChildren(...names.map((name) => el("li", { class: "row", "data-team": name },
      el("span", {}, name), playing.includes(name) ? el("button", { type: "button", "aria-pressed": String(this.watched === name), click: watch(name) }, "Watch") : null,
      this.view.teams.includes(name) ? el("button", { type: "button", click: () => { if (confirm("Remove this team?")) this.ask("remove", { team: name }); } }, "Remove") : null,
      this.view.troubles[name] ? el("span", { class: "trouble" }, this.view.troubles[name]) : null)));
  }

  // Watching and replaying

  drawReplayChoices() {
    const trainer = this.role === "trainer";
    const agents = this.view?.board.filter((row) => row.agent).map((row) => row.name) ?? [];
    const teams = trainer ? this.view?.board.filter((row) => !row.agent).map((row) => row.name) ?? [] : [];
    const own = this.role === "player" && this.view?.team.report ? [this.view.room.vote ? "all teams" : "my team"] : [];
    const may = trainer || (this.role === "player" && agents.length > 0);
    by("replay-card").hidden = !may;
    const state = JSON.stringify([agents, teams, own, this.what?.length]);
    if (!may || state === this.choicesShown) return;
    this.choicesShown = state;
    const options = () => [...own.map((name) => ["own", name]), ...teams.map((name) => ["team", name]), ...agents.map((name) => ["agent", name]), ["file", "a record from a file"]].map(([kind, name]) => el("option", { value: JSON.stringify([kind, name]) }, kind === "agent" ? `${name} (agent)` : name));
    const one = el("select", { "aria-label": "Episode", id: "tape-one" }, ...options());
    const two = el("select", { "aria-label": "Beside it", id: "tape-two" }, el("option", { value: "" }, "nothing beside it"), ...options());
    const load = el("button", { type: "button", "data-replay": "load", click: () => this.loadTapes([one.value, two.value].filter(Boolean).map((each) => JSON.parse(each))) }, "Show");
    const parts = [el("label", {}, "Episode ", one), el("label", {}, "Beside it ", two), load];
    if (trainer && this.what?.length) {
      const agent = el("select", { "aria-label": "Agent", id: "watch-agent" }, ...["heuristic", "detective", "belief", "trained_lm", "oracle", "random", "brute_force"].map((name) => el("option", {}, name)));
      parts.push(el("label", {}, "or let play ", agent), el("button", { type: "button", "data-replay": "play", click: async () => {
        const answer = await this.ask("play_agent", { agent: agent.value, incident: this.chosen() });
        if (answer) { this.replay.load([answer.tape]); this.replay.toggle(); say(`${agent.value} plays: ${answer.title}`); }
      } }, "Watch it"));
    }
    by("replay-choices").replaceChildren(...parts);
  }

  async loadTapes(wanted) {
    const tapes = [];
    for (const [kind, name] of wanted) {
      const tape = kind === "file" ? await pickedRecord() : await this.tape(kind, name);
      if (!tape) return say("there is nothing to show yet");
      tapes.push(tape);
    }
    this.replay.load(tapes);
  }

  async tape(kind, name) {
    const trainer = this.role === "trainer";
    if (kind === "own") return (await this.ask("own_tape"))?.tape;
    if (kind === "team") return (await this.ask("team_tape", { team: name }))?.tape;
    return (await this.ask(trainer ? "any_agent_tape" : "agent_tape", { agent: name }))?.tape;
  }
}

function pickedRecord() {
  return new Promise((resolve) => {
    const input = el("input", { type: "file", accept: ".jsonl", change: async () => {
      try { resolve(tapeOfRecord(await input.files[0].text())); } catch (error) { say(error.message); resolve(null); }
    } });
    input.addEventListener("cancel", () => resolve(null));
    input.click();
  });
}

// The way in and out.

let visit = null;
let shared = false; // whether everybody plays on one lab

function screen(name) {
  document.body.dataset.screen = name;
  by("welcome").hidden = name !== "welcome";
  by("room").hidden = name !== "room";
}

function enter(seat, orders) {
  keepSeat(seat);
  visit?.end();
  visit = new Visit(seat, orders);
  say("");
}

function leave(why = "") {
  const seat = visit?.seat;
  visit?.end();
  visit = null;
  if (why && seat) forgetSeat(seat);
  sessionStorage.removeItem(SEAT);
  by("leave").hidden = true;
  by("clock").textContent = by("place").textContent = by("link").textContent = "";
  delete document.body.dataset.role;
  screen("welcome");
  drawSeats();
  say(why);
}

function drawSeats() {
  by("seats").hidden = !seats().length;
  by("seat-list").replaceChildren(...seats().map((seat) => el("li", {}, el("button", { type: "button", click: () => enter(seat) }, `${seat.code} as ${seat.name ?? "the trainer"}`))));
}

// Who practises alone is their own trainer: for a moment, to begin the next incident.
async function begin(code, token) {
  const trainer = new Link({ code, token }, () => {}, () => {});
  await new Promise((resolve) => { trainer.heard = resolve; });
  await trainer.ask("choose", { incident: drawn(), limit_s: 0 });
  await trainer.ask("start");
  trainer.leave();
}

const tried = (work) => async (event) => {
  event?.preventDefault();
  try { await work(); } catch (error) { say(error.message); }
};

const serverToken = () => by("server-token").value.trim();
const openRoom = () => post("/api/rooms", {}, serverToken());
const drawn = () => ({ tier: "easy", seed: Math.floor(Math.random() * 100000) });

by("open").addEventListener("click", tried(async () => enter(await openRoom())));
by("join").addEventListener("submit", tried(async () => enter(await post(`/api/rooms/${encodeURIComponent(by("code").value)}/teams`, { name: by("name").value }))));
by("look").addEventListener("click", tried(async () => enter({ code: by("code").value.trim() })));
by("practise").addEventListener("click", tried(async () => {
  const room = await openRoom();
  const seat = await post(`/api/rooms/${room.code}/teams`, { name: "You" });
  await begin(room.code, room.token);
  enter({ ...seat, lead: room.token }, shared ? [["take_turn"]] : []);
}));
by("leave").addEventListener("click", () => leave());
by("larger").addEventListener("click", () => {
  const larger = document.documentElement.classList.toggle("larger");
  by("larger").setAttribute("aria-pressed", String(larger));
});

async function beginPage() {
  by("link").textContent = "";
  const { asks_for_token: asks, shared: one } = await (await fetch("/api/server")).json();
  shared = one;
  by("asks").hidden = by("asks-alone").hidden = !asks;
  by("lab").hidden = !shared;
  const given = new URLSearchParams(location.hash.slice(1));
  history.replaceState(null, "", location.pathname);
  if (given.get("join")) by("code").value = given.get("join");
  const seat = seatOf(given.get("seat")) ?? stored(sessionStorage, SEAT, null);
  drawSeats();
  if (seat?.code) enter({ code: String(seat.code), token: seat.token, name: seat.name, lead: seat.lead });
  document.body.dataset.ready = "yes";
}

beginPage();

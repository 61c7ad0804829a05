/*
 * app.js - draws what /api tells
 *
 * Every text may be a stranger's: it becomes a text node, never markup.
 */
"use strict";

const TYPES = [
  ["delivery", "Delivered"],
  ["delay", "Delayed"],
  ["bounce", "Bounced"],
  ["expiration", "Expired"],
  ["out_of_band", "Bounced later"],
  ["feedback", "Complaints"],
  ["suppressed", "Suppressed"],
  ["would_suppress", "Would suppress"],
  ["rejection", "Rejected by our MTA"],
];
const LABELS = Object.fromEntries(TYPES);
const RARE = new Set(["would_suppress"]); // only shown when there are some
const FINAL = ["delivery", "bounce", "expiration", "suppressed"];
const TROUBLE = TYPES.map(([type]) => type).filter((type) => type !== "delivery");
const EVERY_MS = { status: 5000, stats: 15000, domains: 30000, recent: 15000 };
const PATIENCE_MS = 8000;
const NUMBER = new Intl.NumberFormat("en");
const SHORT = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const SVG = "http://www.w3.org/2000/svg";

const state = {
  range: "24h",
  hidden: new Set(),
  stats: null,
  step: -1, // under the pointer
  list: "suppress",
  search: "",
  cursor: "",
  found: new Map(),
  looked: 0,
  asked: 0, // searches: of an older one the answer is not wanted
};

const at = (id) => document.getElementById(id);

/* make("td", {class: "n"}, "text", node …) */
function make(name, attributes, ...children) {
  const node = document.createElement(name);
  fill(node, attributes, children);
  return node;
}

function draw(name, attributes, ...children) {
  const node = document.createElementNS(SVG, name);
  fill(node, attributes, children);
  return node;
}

function fill(node, attributes, children) {
  for (const [key, value] of Object.entries(attributes || {})) {
    node.setAttribute(key, value);
  }
  for (const child of children) {
    if (child !== null && child !== undefined) node.append(child);
  }
}

const colour = (type) => `var(--c-${type === "would_suppress" ? "suppressed" : type})`;

function swatch(type) {
  const node = make("span", { class: "swatch", "aria-hidden": "true" });
  node.style.background = colour(type);
  if (type === "would_suppress") node.style.opacity = ".55";
  return node;
}

/* ---- words and numbers ---- */

const words = (name) => String(name).replaceAll("_", " ");
const plural = (number, one, many) => `${NUMBER.format(number)} ${number === 1 ? one : many}`;

function percent(part, whole) {
  if (!whole) return "–";
  const share = 100 * part / whole;
  return share > 0 && share < 0.1 ? "< 0.1 %" : `${share.toFixed(1)} %`;
}

const DAY = new Intl.DateTimeFormat("en-GB", { timeZone: "UTC", weekday: "short", day: "numeric", month: "short" });
const SHORT_DAY = new Intl.DateTimeFormat("en-GB", { timeZone: "UTC", weekday: "short", day: "numeric" });
const MONTH_DAY = new Intl.DateTimeFormat("en-GB", { timeZone: "UTC", day: "numeric", month: "short" });
const clock = (date) => date.toISOString().slice(11, 16);

/* A time as Redis has it, which may be anything. */
function time(text) {
  const date = new Date(text);
  return typeof text === "string" && /^\d{4}-\d\d/.test(text) && !isNaN(date) ? date : null;
}

function moment(text) {
  const date = time(text);
  if (!date) return text || "–";
  return text.length <= 10 ? text.slice(0, 10) : `${date.toISOString().slice(0, 10)} ${clock(date)}`;
}

function duration(seconds) {
  const units = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  const [size, name] = units.find(([unit]) => seconds >= unit) || [1, "s"];
  return `${Math.floor(Math.max(0, seconds) / size)} ${name}`;
}

function ago(text) {
  const date = time(text);
  if (!date) return text || "–";
  const seconds = (Date.now() - date) / 1000;
  return seconds < 5 ? "now" : `${duration(seconds)} ago`;
}

function left(text) {
  const date = time(text);
  if (!date) return text || "never";
  return `in ${duration((date - Date.now()) / 1000)}`;
}

function timeNode(text, form) {
  const date = time(text);
  const node = make("time", date ? { datetime: date.toISOString(), title: `${moment(text)} UTC` } : {}, form(text));
  return node;
}

/* ---- asking ---- */

async function ask(path, fields) {
  const query = new URLSearchParams(fields || {}).toString();
  const patience = new AbortController();
  const timer = setTimeout(() => patience.abort(), PATIENCE_MS);
  let reply;
  let answer;
  try {
    reply = await fetch(`/api/${path}${query ? `?${query}` : ""}`, { signal: patience.signal, cache: "no-store" });
    answer = await reply.json();
  } catch {
    throw new Error("nixied does not answer");
  } finally {
    clearTimeout(timer);
  }
  if (!reply.ok) {
    throw new Error(answer && typeof answer.error === "string" ? answer.error : `status ${reply.status}`);
  }
  return answer;
}

const faults = new Map();
let goodSince = null;

function tellFaults() {
  const node = at("fault");
  const told = [...new Set(faults.values())];
  node.hidden = told.length === 0;
  node.textContent = told.length === 0 ? "" :
    `${told.join("; ")}. What is below is ${goodSince ? `from ${clock(goodSince)} UTC` : "empty"}; this page keeps trying.`;
}

async function refresh(name, work) {
  try {
    await work();
    faults.delete(name);
    if (name === "stats") goodSince = new Date();
  } catch (error) {
    faults.set(name, error.message);
  }
  tellFaults();
}

function keepAsking(name, work) {
  const again = async () => {
    if (!document.hidden) await refresh(name, work);
    setTimeout(again, EVERY_MS[name]);
  };
  again();
}

/* ---- health ---- */

async function showStatus() {
  const node = at("health");
  let answer;
  try {
    answer = await ask("status");
  } catch (error) {
    node.className = "health bad";
    at("health-text").textContent = "nixied does not answer";
    throw error;
  }
  const lag = answer.lag_seconds;
  const late = lag > 60;
  node.className = `health ${!answer.connected ? "bad" : late ? "late" : "ok"}`;
  at("health-text").textContent = !answer.connected
    ? `Redis is away; the log keeps what is to go there${lag > 0 ? `, ${duration(lag)} by now` : ""}`
    : late ? `Redis is ${duration(lag)} behind the log` : `Redis is up to date (${lag > 0 ? `${duration(lag)} behind` : "no lag"})`;
  at("node").textContent = answer.node + (answer.mode === "observe" ? " · observe mode: nothing is refused" : "");
  at("version").textContent = `nixie ${answer.version}`;
  document.title = `nixie · ${answer.node}`;
}

/* ---- outcomes over time ---- */

/* {type: [count of each step]} */
function series(stats) {
  const sums = {};
  for (const [type] of TYPES) sums[type] = new Array(stats.steps).fill(0);
  for (const row of stats.rows) {
    if (!Object.hasOwn(sums, row.type)) continue;
    row.counts.forEach((count, step) => { sums[row.type][step] += count; });
  }
  return sums;
}

const total = (counts) => counts.reduce((sum, count) => sum + count, 0);
const begin = (stats, step) => new Date(Date.parse(stats.from) + step * stats.step_seconds * 1000);
const byDay = (stats) => stats.step_seconds >= 86400;
const stepName = (stats, step) => byDay(stats) ? DAY.format(begin(stats, step)) :
  `${DAY.format(begin(stats, step))}, ${clock(begin(stats, step))}–${clock(begin(stats, step + 1))}`;

function spark(counts, type) {
  const width = 120;
  const height = 26;
  const most = Math.max(1, ...counts);
  const bar = width / counts.length;
  const node = draw("svg", { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", "aria-hidden": "true" });
  counts.forEach((count, step) => {
    const tall = count ? Math.max(1.5, (height - 1) * count / most) : 0;
    const rect = draw("rect", { x: step * bar, y: height - tall, width: Math.max(0.4, bar * 0.78), height: tall });
    rect.style.fill = colour(type);
    node.append(rect);
  });
  return node;
}

function showTiles(stats, sums) {
  const finals = total(FINAL.map((type) => total(sums[type])));
  const bounced = sums.bounce.map((count, step) => count + sums.expiration[step]);
  const tiles = [
    ["delivery", "Delivered", sums.delivery, "of outcomes"],
    ["bounce", "Bounced or expired", bounced, "of outcomes"],
    ["suppressed", "Suppressed", sums.suppressed, "of outcomes"],
    ["delay", "Delayed", sums.delay, "for 100 outcomes"],
    ["feedback", "Complaints", sums.feedback, "of delivered"],
  ];
  at("tiles").replaceChildren(...tiles.map(([type, label, counts, of]) => {
    const sum = total(counts);
    const hundred = of === "for 100 outcomes";
    const whole = of === "of delivered" ? total(sums.delivery) : finals;
    return make("div", { class: "tile", "data-type": type, "data-total": sum },
      make("h3", {}, swatch(type), label),
      make("div", { class: "number" }, NUMBER.format(sum)),
      make("div", { class: "share" }, `${hundred ? percent(sum, whole).replace(" %", "") : percent(sum, whole)} ${of}`),
      spark(counts, type));
  }));
}

function showLegend(sums) {
  at("legend").replaceChildren(...TYPES.filter(([type]) => !RARE.has(type) || total(sums[type])).map(([type, label]) => {
    const button = make("button", { type: "button", "aria-pressed": String(!state.hidden.has(type)) }, swatch(type), label);
    button.addEventListener("click", () => {
      if (!state.hidden.delete(type)) state.hidden.add(type);
      button.setAttribute("aria-pressed", String(!state.hidden.has(type)));
      showPlots();
    });
    return button;
  }));
}

/* The smallest of 1, 2, 2.5, 5, 10 … of which count reach most. */
function grid(most, count) {
  const size = 10 ** Math.floor(Math.log10(Math.max(1, most) / count));
  const step = [1, 2, 2.5, 5, 10, 20].map((factor) => factor * size)
    .find((candidate) => candidate * count >= most && Number.isInteger(candidate)) || Math.ceil(most / count);
  return Array.from({ length: count + 1 }, (_, index) => index * step)
    .filter((value, index, all) => index === 0 || all[index - 1] < most);
}

function ticks(stats, width) {
  const found = [];
  const room = Math.max(2, Math.floor(width / 64));
  const every = Math.ceil(stats.steps / room);
  for (let step = 0; step < stats.steps; step++) {
    const date = begin(stats, step);
    if (byDay(stats)) {
      const days = [1, 2, 5, 7, 10, 14, 30].find((candidate) => candidate >= every) || every;
      if ((stats.steps - 1 - step) % days === 0) found.push([step, MONTH_DAY.format(date)]);
    } else if (stats.steps > 24) {
      const days = Math.ceil(7 / room);
      if (date.getUTCHours() === 0 && Math.floor(date / 86400000) % days === 0) found.push([step, SHORT_DAY.format(date)]);
    } else {
      const hours = [1, 2, 3, 4, 6, 12].find((candidate) => candidate >= every) || 12;
      if (date.getUTCHours() % hours === 0) {
        found.push([step, date.getUTCHours() === 0 ? MONTH_DAY.format(date) : clock(date)]);
      }
    }
  }
  return found;
}

/* A bar with a round top; only the uppermost of a pile has one. */
function bar(x, y, width, height, radius) {
  const r = Math.min(radius, width / 2, height);
  return draw("path", {
    d: `M${x},${y + height}V${y + r}Q${x},${y} ${x + r},${y}H${x + width - r}Q${x + width},${y} ${x + width},${y + r}V${y + height}Z`,
  });
}

function plot(title, types, height, withAxis) {
  const stats = state.stats;
  const sums = state.sums;
  const shown = types.filter((type) => !state.hidden.has(type));
  const width = Math.max(260, at("plots").clientWidth);
  const margin = { left: 44, right: 4, top: 8, bottom: withAxis ? 22 : 6 };
  const inner = { width: width - margin.left - margin.right, height: height - margin.top - margin.bottom };
  const pile = (step) => shown.reduce((sum, type) => sum + sums[type][step], 0);
  const most = Math.max(1, ...Array.from({ length: stats.steps }, (_, step) => pile(step)));
  const lines = grid(most, 3);
  const top = Math.max(most, lines[lines.length - 1]);
  const x = (step) => margin.left + inner.width * step / stats.steps;
  const y = (count) => margin.top + inner.height * (1 - count / top);
  const one = inner.width / stats.steps;
  const wide = Math.max(0.8, Math.min(26, one * (one > 8 ? 0.72 : 0.84)));
  const node = draw("svg", {
    width, height, viewBox: `0 0 ${width} ${height}`, tabindex: "0", role: "img",
    "aria-label": `${title}: ${NUMBER.format(total(shown.map((type) => total(sums[type]))))} in all. Arrow keys move along; a table is below.`,
  });
  for (const line of lines) {
    node.append(draw("line", { class: line === 0 ? "base" : "grid", x1: margin.left, x2: width - margin.right, y1: y(line), y2: y(line) }));
    node.append(draw("text", { x: margin.left - 8, y: y(line) + 4, "text-anchor": "end" }, SHORT.format(line)));
  }
  if (withAxis) {
    for (const [step, label] of ticks(stats, inner.width)) {
      const middle = Math.min(x(step + 0.5), width - 3.4 * label.length); // else the last is cut
      node.append(draw("text", { x: middle, y: height - 4, "text-anchor": "middle" }, label));
    }
  }
  const cursor = draw("rect", { class: "cursor", y: margin.top, width: one, height: inner.height, rx: 3 });
  node.append(cursor);
  for (let step = 0; step < stats.steps; step++) {
    let sum = 0;
    const last = shown.filter((type) => sums[type][step] > 0).pop();
    for (const type of shown) {
      const count = sums[type][step];
      if (count === 0) continue;
      const rect = bar(x(step) + (one - wide) / 2, y(sum + count), wide, y(sum) - y(sum + count), type === last ? 3 : 0);
      rect.style.fill = colour(type);
      if (type === "would_suppress") rect.style.fillOpacity = ".55";
      rect.setAttribute("class", "bar-part");
      rect.setAttribute("data-type", type);
      rect.setAttribute("data-step", step);
      rect.setAttribute("data-count", count);
      node.append(rect);
      sum += count;
    }
  }
  const place = (clientX) => {
    const box = node.getBoundingClientRect();
    const step = Math.floor(((clientX - box.left) * width / box.width - margin.left) / inner.width * stats.steps);
    return Math.max(0, Math.min(stats.steps - 1, step));
  };
  node.addEventListener("pointermove", (event) => point(place(event.clientX), event.clientX, event.clientY));
  node.addEventListener("pointerleave", unpoint);
  node.addEventListener("focus", () => node.matches(":focus-visible") && pointBeside(node, stats.steps - 1, x(stats.steps - 0.5), width));
  node.addEventListener("blur", unpoint);
  node.addEventListener("keydown", (event) => {
    const moves = { ArrowLeft: -1, ArrowRight: 1, Home: -stats.steps, End: stats.steps };
    if (event.key === "Escape") unpoint();
    if (!(event.key in moves)) return;
    event.preventDefault();
    const step = Math.max(0, Math.min(stats.steps - 1, (state.step < 0 ? stats.steps - 1 : state.step) + moves[event.key]));
    pointBeside(node, step, x(step + 0.5), width);
  });
  node.moveCursor = (step) => {
    cursor.classList.toggle("on", step >= 0);
    if (step >= 0) cursor.setAttribute("x", x(step));
  };
  return make("div", { class: "plot" }, make("h3", {}, title), node);
}

function showPlots() {
  const { stats, sums } = state;
  const some = total(TYPES.map(([type]) => total(sums[type]))) > 0;
  unpoint();
  at("plots").replaceChildren(...(some
    ? [plot("Delivered", ["delivery"], 150, false), plot("All else", TROUBLE, 210, true)]
    : [make("p", { class: "none" }, "Nothing has happened in this time.")]));
  at("time-note").textContent = `${byDay(stats) ? "a bar a day" : "a bar an hour"}, UTC${
    stats.skipped ? `; passed over: ${plural(stats.skipped, "field", "fields")} that nixie did not write` : ""}`;
}

function point(step, clientX, clientY) {
  const { stats, sums } = state;
  const tip = at("tip");
  state.step = step;
  for (const node of at("plots").querySelectorAll("svg")) node.moveCursor(step);
  tip.replaceChildren(make("b", {}, stepName(stats, step)),
    ...TYPES.filter(([type]) => !state.hidden.has(type) && sums[type][step] > 0).map(([type, label]) =>
      make("div", { class: "row" }, swatch(type), make("span", {}, label), make("span", {}, NUMBER.format(sums[type][step])))));
  if (tip.childElementCount === 1) tip.append(make("div", { class: "muted" }, "nothing"));
  tip.hidden = false;
  const box = tip.getBoundingClientRect();
  const far = clientX + 18 + box.width > window.innerWidth;
  tip.style.left = `${Math.max(6, far ? clientX - box.width - 18 : clientX + 18)}px`;
  tip.style.top = `${Math.max(6, Math.min(clientY + 14, window.innerHeight - box.height - 6))}px`;
}

function pointBeside(node, step, x, width) {
  const box = node.getBoundingClientRect();
  point(step, box.left + x * box.width / width, box.top + 10);
}

function unpoint() {
  state.step = -1;
  at("tip").hidden = true;
  for (const node of at("plots").querySelectorAll("svg")) node.moveCursor(-1);
}

function table(head, rows, options) {
  const labels = head.map((column) => typeof column === "string" ? column : column.n);
  const stack = options && options.stack;
  return make("table", stack ? { class: "stack" } : {},
    make("thead", {}, make("tr", {}, ...head.map((column) =>
      make("th", typeof column === "string" ? { scope: "col" } : { scope: "col", class: "n" }, typeof column === "string" ? column : column.n)))),
    make("tbody", {}, ...rows.map((cells) => make("tr", {}, ...cells.map((cell, index) => {
      if (cell instanceof Element && cell.localName === "td") {
        cell.setAttribute("data-label", labels[index]);
        return cell;
      }
      return make("td", { ...(typeof head[index] === "string" ? {} : { class: "n" }), "data-label": labels[index] }, cell);
    })))));
}

function showTable() {
  const { stats, sums } = state;
  const place = at("time-table").querySelector(".scroll");
  if (!at("time-table").open) {
    place.replaceChildren();
    return;
  }
  const types = TYPES.filter(([type]) => !RARE.has(type) || total(sums[type]));
  const rows = [];
  for (let step = stats.steps - 1; step >= 0; step--) {
    rows.push([stepName(stats, step), ...types.map(([type]) => NUMBER.format(sums[type][step]))]);
  }
  place.replaceChildren(table([byDay(stats) ? "Day (UTC)" : "Hour (UTC)", ...types.map(([, label]) => ({ n: label }))], rows));
}

function showReasons(stats) {
  const found = new Map();
  for (const row of stats.rows) {
    if (!TROUBLE.includes(row.type) || row.total === 0) continue;
    const name = row.reason || "(no reason told)";
    const reason = found.get(name) || { total: 0, types: new Map() };
    reason.total += row.total;
    reason.types.set(row.type, (reason.types.get(row.type) || 0) + row.total);
    found.set(name, reason);
  }
  const all = total([...found.values()].map((reason) => reason.total));
  const rows = [...found].sort((one, other) => other[1].total - one[1].total);
  const most = rows.length ? rows[0][1].total : 1;
  const used = new Set();
  const bars = rows.slice(0, 12).map(([name, reason]) => {
    const track = make("span", { class: "track", "aria-hidden": "true" });
    for (const [type] of TYPES) {
      if (!reason.types.has(type)) continue;
      const part = make("i", { title: LABELS[type] });
      part.style.background = colour(type);
      part.style.width = `${100 * reason.types.get(type) / most}%`;
      track.append(part);
      used.add(type);
    }
    return make("div", { class: "bar", "data-reason": name, "data-total": reason.total },
      make("span", { class: "name", title: name }, words(name)), track,
      make("span", { class: "value" }, `${NUMBER.format(reason.total)} `, make("span", {}, percent(reason.total, all))));
  });
  at("reasons").replaceChildren(bars.length
    ? make("div", { class: "bars" }, ...bars)
    : make("p", { class: "none" }, "No failures."),
  make("p", { class: "keys" }, ...TYPES.filter(([type]) => used.has(type)).map(([type, label]) => make("span", {}, swatch(type), label))));
  at("reasons-note").textContent = rows.length > 12
    ? `the first 12 of ${rows.length}` : all ? plural(all, "failure", "failures") : "";
}

async function showStats() {
  const range = state.range;
  const answer = await ask("stats", { range });
  if (range !== state.range) return;
  state.stats = answer;
  state.sums = series(answer);
  showTiles(answer, state.sums);
  if (state.step < 0) {
    showLegend(state.sums);
    showPlots();
  }
  if (at("time-table").open) showTable();
  showReasons(answer);
}

/* ---- domains ---- */

function searchFor(text) {
  at("search-text").value = text;
  at("list-title").scrollIntoView({ block: "start" });
  startSearch();
}

function domainRow(row) {
  const name = make("button", { class: "link", type: "button", title: "entries of this domain" }, row.domain);
  const rate = row.failures / Math.max(1, row.failures + row.deliveries);
  const meter = make("span", { class: "meter", "aria-hidden": "true" }, make("i", {}));
  name.addEventListener("click", () => searchFor(`@${row.domain}`));
  meter.firstChild.style.width = `${100 * rate}%`;
  return [
    make("td", { class: "wrap" }, name),
    make("td", {}, row.down ? make("span", { class: "badge bad" }, "takes no mail")
      : rate > 0.15 ? make("span", { class: "badge warn" }, "fails often") : make("span", { class: "badge plain" }, "some failures")),
    make("td", { class: "time" }, row.down ? timeNode(row.down_since, ago) : ""),
    make("td", { class: "wrap" }, words((row.down && row.down_reason) || row.reason || row.last_failure_reason || "")),
    row.waiting ? NUMBER.format(row.waiting) : "",
    NUMBER.format(row.failures),
    NUMBER.format(row.deliveries),
    make("td", { class: "n" }, percent(row.failures, row.failures + row.deliveries), meter),
  ];
}

async function showDomains() {
  const range = state.range === "24h" ? "24h" : "7d";
  const answer = await ask("domains", { range });
  at("domains-note").textContent = `${range === "24h" ? "last 24 hours" : "last 7 days"}; failures that count${
    answer.known > answer.rows.length ? `; the worst ${answer.rows.length} of ${NUMBER.format(answer.known)}` : ""}`;
  at("domains").replaceChildren(answer.rows.length
    ? table(["Domain", "State", "Since", "Mostly", { n: "Waiting" }, { n: "Failed" }, { n: "Delivered" }, { n: "Share failed" }],
      answer.rows.map(domainRow), { stack: true })
    : make("p", { class: "none" }, "None: all domains take their mail."));
}

/* ---- the latest changes ---- */

const SIGNS = {
  suppression_added: ["+", "suppressed"],
  suppression_updated: ["~", "changed"],
  suppression_removed: ["−", "lifted"],
  suppression_withheld: ["·", "not suppressed"],
};

async function showRecent() {
  const answer = await ask("recent");
  at("recent").replaceChildren(...answer.rows.map((row) => {
    const [sign, verb] = SIGNS[row.type] || ["?", row.type];
    const why = [verb, row.reason && words(row.reason), row.origin && `by ${row.by || row.origin}`,
      row.expires_at && `ends ${left(row.expires_at)}`, row.withheld_by && `withheld by ${row.withheld_by}`, row.note].filter(Boolean).join(" · ");
    return make("li", {}, make("span", { class: "sign", "aria-hidden": "true" }, sign),
      make("span", { class: "what" }, recipientLink(row.pattern || "")), timeNode(row.at, ago), make("span", { class: "why" }, why));
  }));
  if (!answer.rows.length) at("recent").append(make("li", { class: "none" }, "None in what was looked at of the log."));
}

/* ---- the list ---- */

function recipientLink(pattern) {
  if (!/^[^@].*@[^@]+$/.test(pattern)) return make("span", {}, pattern);
  const link = make("button", { class: "link", type: "button" }, pattern);
  link.addEventListener("click", () => lookUp(pattern, true));
  return link;
}

function entryRow(entry) {
  const pattern = make("td", { class: "wrap" }, recipientLink(entry.pattern));
  if (entry.scope) pattern.append(" ", make("span", { class: "badge plain" }, `scope ${entry.scope}`));
  if (entry.mode === "observe") pattern.append(" ", make("span", { class: "badge warn" }, "observe"));
  if (!entry.matches) pattern.append(" ", make("span", { class: "badge bad" }, "never matches"));
  return [pattern,
    make("td", {}, entry.reason ? words(entry.reason) : ""),
    make("td", { class: "time" }, entry.added_at ? timeNode(entry.added_at, moment) : ""),
    make("td", { class: "time" }, entry.expires_at ? timeNode(entry.expires_at, left) : "never"),
    make("td", {}, entry.by || entry.origin || ""),
    make("td", { class: "wrap" }, entry.note || "")];
}

function showList() {
  const entries = [...state.found.values()];
  at("list").replaceChildren(entries.length
    ? table([state.list === "suppress" ? "Suppressed" : "Allowed", "Reason", "Since", "Ends", "By", "Note"], entries.map(entryRow), { stack: true })
    : make("p", { class: "none" }, state.cursor ? "Nothing so far …" : state.search ? "No entry has that in it." : "The list is empty."));
  at("list-note").textContent = entries.length === 0 && !state.cursor ? ""
    : `${plural(entries.length, "entry", "entries")}${state.cursor ? ` so far, of about ${NUMBER.format(state.looked)} keys looked at; in no order` : ""}`;
  at("more").hidden = !state.cursor;
  at("more").textContent = entries.length ? "Show more" : "Search on";
}

/* Who has typed a whole address has found it, and wants no more. */
const isFound = () => [...state.found.values()].some((entry) => entry.pattern === state.search.toLowerCase());

/* Goes on by itself until there is something to see, or enough was looked at. */
async function searchOn() {
  const turn = ++state.asked;
  const before = state.found.size;
  for (let i = 0; i < 20; i++) {
    const answer = await ask("list", { list: state.list, search: state.search, cursor: state.cursor });
    if (turn !== state.asked) return;
    for (const entry of answer.entries) state.found.set(`${entry.scope || ""} ${entry.pattern}`, entry);
    state.cursor = answer.cursor || "";
    state.looked += answer.looked;
    showList();
    if (!state.cursor || state.found.size >= before + 20 || isFound()) return;
  }
}

function startSearch() {
  state.search = at("search-text").value.trim();
  state.cursor = "";
  state.found = new Map();
  state.looked = 0;
  return refresh("list", searchOn);
}

/* ---- one recipient ---- */

const COUNTS = ["deliveries", "delays", "bounces", "expirations", "out_of_band", "feedback", "suppressed", "would_suppress", "rejections", "receptions"];
const FACTS = [["first_at", "First seen"], ["last_at", "Latest outcome"], ["last_type", "It was"], ["last_reason", "Reason"],
  ["last_enhanced_status", "Status"], ["last_queue_id", "Queue id"], ["last_delivery_at", "Last delivery"], ["last_reception_at", "Last accepted"]];

function facts(pairs) {
  return make("dl", { class: "facts" }, ...pairs.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));
}

function factsOf(history) {
  return FACTS.filter(([name]) => history[name]).map(([name, label]) =>
    [label, name.endsWith("_at") ? timeNode(history[name], (text) => `${moment(text)} (${ago(text)})`) : words(history[name])]);
}

function verdict(answer) {
  const badges = { suppressed: ["bad", "suppressed"], allowed: ["good", "always allowed"], absent: ["good", "not listed"] };
  const [kind, label] = badges[answer.decision] || ["plain", answer.decision];
  return make("p", { class: "verdict" }, make("strong", {}, answer.mailbox), make("span", { class: `badge ${kind}` }, label),
    make("span", { class: "muted" }, answer.reply ? `at RCPT: ${answer.reply}` : answer.at_rcpt === "accept" ? "mail is accepted" : `at RCPT: ${answer.at_rcpt || "unknown"}`));
}

function entryPart(entry) {
  if (!entry) return null;
  const all = { ...entry, ...(typeof entry.fields === "object" ? entry.fields : {}) };
  const pairs = Object.entries(all)
    .filter(([name, value]) => typeof value !== "object" && !name.endsWith("_base64") && name !== "seconds_left")
    .map(([name, value]) => [words(name), name.endsWith("_at") ? moment(String(value)) : name === "reason" ? words(value) : String(value)]);
  return make("div", {}, make("h3", {}, "The entry that decides"), facts(pairs));
}

function evidencePart(evidence) {
  if (!Array.isArray(evidence) || evidence.length === 0) return null;
  return make("div", { class: "wide" }, make("h3", {}, "Latest failures that counted"), make("ul", { class: "lines" },
    ...evidence.map((line) => typeof line === "string" ? make("li", {}, line) : make("li", {},
      make("div", { class: "muted" }, [moment(line.at), line.reason && words(line.reason), line.queue_id].filter(Boolean).join(" · ")),
      make("div", { class: "mono" }, line.diagnostic || "")))));
}

function policyPart(answer) {
  const policy = answer.policy;
  if (!policy && !(answer.strikes || []).length) return null;
  const pairs = [["Strikes", NUMBER.format((answer.strikes || []).length)]];
  if (policy && policy.strike_limit) pairs[0][1] += `; ${policy.strike_limit} within ${duration(policy.strike_window_seconds)} ${policy.strike_limit === 1 ? "suppresses" : "suppress"}`;
  if (policy && policy.next) pairs.push(["Next", policy.next]);
  if (answer.escalation) pairs.push(["Suppressed before", plural(answer.escalation, "time", "times")]);
  if (answer.due) pairs.push(["Due", words(answer.due)]);
  return make("div", {}, make("h3", {}, "Strikes"), facts(pairs));
}

function domainPart(domain) {
  if (!domain) return null;
  const pairs = [["Domain", domain.domain], ["State", domain.down ? `takes no mail since ${moment(domain.down_since)}` : "takes mail"]];
  if (domain.down_reason) pairs.push(["Reason", words(domain.down_reason)]);
  if (domain.last_delivery_at) pairs.push(["Last delivery", moment(domain.last_delivery_at)]);
  pairs.push(["Waiting", NUMBER.format(domain.waiting)]);
  return make("div", {}, make("h3", {}, "Its domain"), facts(pairs));
}

function showRecipient(answer) {
  const history = (answer.history && answer.history.recipient) || {};
  const counts = COUNTS.filter((name) => history[name]);
  const past = make("div", {}, make("h3", {}, "History"), Object.keys(history).length ? facts(factsOf(history)) : make("p", { class: "muted" }, "Nothing is known of it."));
  const last = history.last_diagnostic ? make("div", { class: "wide" }, make("h3", {}, "The latest reply"), make("p", { class: "mono" }, history.last_diagnostic)) : null;
  at("recipient").replaceChildren(verdict(answer), make("div", { class: "why-grid" },
    counts.length ? make("div", { class: "wide counts" }, ...counts.map((name) =>
      make("div", { "data-count": name }, make("b", {}, /^\d+$/.test(history[name]) ? NUMBER.format(history[name]) : history[name]), make("span", {}, words(name))))) : null,
    past, entryPart(answer.entry), policyPart(answer), domainPart(answer.domain), last, evidencePart(answer.evidence)));
}

async function lookUp(address, move) {
  at("why-text").value = address;
  if (move) at("recipient-title").scrollIntoView({ block: "start" });
  try {
    showRecipient(await ask("recipient", { address }));
    history.replaceState(null, "", `#why=${encodeURIComponent(address)}`);
  } catch (error) {
    at("recipient").replaceChildren(make("p", { class: "none" }, `${error.message}.`));
  }
}

/* ---- all together ---- */

function press(buttons, pressed) {
  for (const button of buttons) button.setAttribute("aria-pressed", String(button === pressed));
}

function listen() {
  const ranges = document.querySelectorAll("[data-range]");
  const lists = document.querySelectorAll("[data-list]");
  let typing = 0;
  let drawing = 0;
  for (const button of ranges) {
    button.addEventListener("click", () => {
      state.range = button.dataset.range;
      press(ranges, button);
      refresh("stats", showStats);
      refresh("domains", showDomains);
    });
  }
  for (const button of lists) {
    button.addEventListener("click", () => {
      state.list = button.dataset.list;
      press(lists, button);
      startSearch();
    });
  }
  at("search").addEventListener("submit", (event) => {
    event.preventDefault();
    startSearch();
  });
  at("search-text").addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(startSearch, 250);
  });
  at("more").addEventListener("click", () => refresh("list", searchOn));
  at("why").addEventListener("submit", (event) => {
    event.preventDefault();
    const address = at("why-text").value.trim();
    if (address) lookUp(address, false);
  });
  at("time-table").addEventListener("toggle", () => state.stats && showTable());
  window.addEventListener("resize", () => {
    cancelAnimationFrame(drawing);
    drawing = requestAnimationFrame(() => state.stats && showPlots());
  });
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return;
    refresh("status", showStatus);
    refresh("stats", showStats);
  });
}

/* #why=ann@example.org, #search=ann, #range=7d: to be sent to a colleague. */
function takeAddress() {
  const wanted = new URLSearchParams(location.hash.slice(1));
  const button = [...document.querySelectorAll("[data-range]")].find((one) => one.dataset.range === wanted.get("range"));
  if (button) {
    state.range = button.dataset.range;
    press(document.querySelectorAll("[data-range]"), button);
  }
  if (wanted.get("search")) at("search-text").value = wanted.get("search");
  if (wanted.get("why")) lookUp(wanted.get("why"), false);
}

listen();
takeAddress();
keepAsking("status", showStatus);
keepAsking("stats", showStats);
keepAsking("domains", showDomains);
keepAsking("recent", showRecent);
startSearch();

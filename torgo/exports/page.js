"use strict";
// Pan, zoom, node details and the failure slider of a torgo plan. No network, no library.
const plan = JSON.parse(document.getElementById("plan").textContent);
const svg = document.querySelector("#map svg");
const NS = "http://www.w3.org/2000/svg";
const size = plan.nodes.length;
const near = Array.from({ length: size }, () => []);
for (const [a, b] of plan.links) {
  near[a].push(b);
  near[b].push(a);
}
const shape = [];
for (const element of document.querySelectorAll("#map [data-i]")) {
  shape[Number(element.dataset.i)] = element;
}
const element = (id) => document.getElementById(id);

// --- pan and zoom -------------------------------------------------------------------------
const box = svg.viewBox.baseVal;
const home = [box.x, box.y, box.width, box.height];
let view = home.slice();

function show() {
  svg.setAttribute("viewBox", view.join(" "));
}

function place(event) {
  const frame = svg.getBoundingClientRect();
  const scale = Math.max(view[2] / frame.width, view[3] / frame.height);
  return {
    x: view[0] + view[2] / 2 + (event.clientX - frame.left - frame.width / 2) * scale,
    y: view[1] + view[3] / 2 + (event.clientY - frame.top - frame.height / 2) * scale,
    scale,
  };
}

function zoom(factor, x, y) {
  const width = Math.min(home[2] * 1.5, Math.max(home[2] / 60, view[2] * factor));
  const real = width / view[2];
  view = [x - (x - view[0]) * real, y - (y - view[1]) * real, width, view[3] * real];
  show();
}

svg.addEventListener("wheel", (event) => {
  event.preventDefault();
  const at = place(event);
  zoom(event.deltaY > 0 ? 1.15 : 1 / 1.15, at.x, at.y);
}, { passive: false });

let drag = null;
let moved = false;
svg.addEventListener("pointerdown", (event) => {
  drag = [event.clientX, event.clientY];
  moved = false;
});
window.addEventListener("pointermove", (event) => {
  if (!drag) return;
  const dx = event.clientX - drag[0];
  const dy = event.clientY - drag[1];
  if (Math.hypot(dx, dy) > 3) moved = true;
  if (!moved) return;
  const scale = place(event).scale;
  view[0] -= dx * scale;
  view[1] -= dy * scale;
  drag = [event.clientX, event.clientY];
  show();
});
window.addEventListener("pointerup", () => { drag = null; });
element("in").onclick = () => zoom(0.7, view[0] + view[2] / 2, view[1] + view[3] / 2);
element("out").onclick = () => zoom(1 / 0.7, view[0] + view[2] / 2, view[1] + view[3] / 2);
element("reset").onclick = () => { view = home.slice(); show(); };

// --- failures: who still has a way over live relays to a live gateway? ------------------------
let order = "random";

function flood(down) {
  const hops = new Int32Array(size).fill(-1);
  const todo = plan.gateways.filter((gateway) => !down.has(gateway));
  for (const gateway of todo) hops[gateway] = 0;
  for (let next = 0; next < todo.length; next++) {
    const v = todo[next];
    if (hops[v] >= plan.hops_max || (hops[v] && plan.nodes[v].role === "leaf")) continue;
    for (const w of near[v]) {
      if (hops[w] < 0 && !down.has(w)) {
        hops[w] = hops[v] + 1;
        todo.push(w);
      }
    }
  }
  return hops;
}

function fail() {
  const count = Math.round(element("slider").value / 100 * size);
  const down = new Set(plan.orders[order].slice(0, count));
  const hops = flood(down);
  const lost = [];
  let live = 0;
  for (let i = 0; i < size; i++) {
    const up = !down.has(i);
    if (up) live++;
    if (up && hops[i] < 0) lost.push(i);
    if (shape[i]) {
      shape[i].classList.toggle("down", !up);
      shape[i].classList.toggle("lost", up && hops[i] < 0);
    }
  }
  const more = lost.length > 12 ? ` and ${lost.length - 12} more` : "";
  element("failed").textContent = `${down.size} of ${size} nodes down`;
  element("served").textContent = `${(100 * (live - lost.length) / live).toFixed(1)} % of the survivors served`;
  element("lost").textContent = lost.length
    ? `cut off: ${lost.slice(0, 12).map((i) => plan.nodes[i].id).join(", ")}${more}`
    : "nobody is cut off";
}

element("slider").oninput = fail;
element("order").onchange = (event) => { order = event.target.value; fail(); };

// --- one node -----------------------------------------------------------------------------
let chosen = null;

function pick(i) {
  if (chosen !== null && shape[chosen]) shape[chosen].classList.remove("chosen");
  chosen = i;
  if (shape[i]) shape[i].classList.add("chosen");
  const node = plan.nodes[i];
  const rows = [
    ["role", node.role === node.kind ? node.role : `${node.role}, ${node.kind}`],
    ["hops", `${node.hops}; after the worst losses ${node.worst}`],
    ["relays heard", node.heard],
    ["reports every", `${node.period} s`],
    ["sends", `${node.load} events/s`],
  ];
  if (node.friend) rows.push(["friend", node.friend]);
  const head = document.createElement("b");
  head.textContent = node.id;
  const table = document.createElement("table");
  for (const [name, value] of rows) {
    const row = table.insertRow();
    row.insertCell().textContent = name;
    row.insertCell().textContent = value;
  }
  element("details").replaceChildren(head, table);
  drawPaths((plan.paths || [])[i]);
}

function drawPaths(paths) {
  const group = element("paths");
  if (!group || !paths) return;
  group.replaceChildren();
  paths.forEach((path, k) => {
    for (const kind of ["case", "path"]) {
      const line = document.createElementNS(NS, "polyline");
      line.setAttribute("class", kind);
      line.setAttribute("points", path.map((v) => plan.spots[v].join(",")).join(" "));
      if (kind === "path") {
        line.setAttribute("stroke", plan.colors[k % plan.colors.length]);
        line.setAttribute("stroke-dasharray", plan.dashes[k % plan.dashes.length]);
      }
      group.append(line);
    }
  });
}

svg.addEventListener("click", (event) => {
  const target = event.target.closest("[data-i]");
  if (target && !moved) pick(Number(target.dataset.i));
});
element("find").onchange = (event) => {
  const i = plan.nodes.findIndex((node) => node.id === event.target.value);
  if (i >= 0) pick(i);
};
if (plan.focus !== null) pick(plan.focus);
fail();

// The viewer: images, what the system says over them, and the list that leads to it.

import { api, dicomDate, el, personName, session } from "/static/api.js";
import { placeText, PLANES, VolumeGrid } from "/static/geometry.js";
import { drawMarks, FRACTURE, lengthMm, REDRAWN, tileAt } from "/static/marks.js";
import { Panel } from "/static/panel.js";
import { IN_MEMORY, PlainView } from "/static/plain.js";

const at = (id) => document.getElementById(id);
const id = location.pathname.split("/").pop();
const url = `/api/studies/${id}`;
const stage = at("stage");
const state = { marks: true, outlines: true, heat: 0.4, mode: "cross", lines: [], draft: null, redraw: null, window: "bone" };
const MODES = { cross: "Crosshair", distance: "Distance" };
const SOFTWARE_VOXELS = 5e6; // more take minutes without a graphics card
let who, study, findings, geometry, view, panel, grid;

const KEYS = [
  ["↑ ↓", "Step through slices of the plane under the cursor (axial first)"],
  ["PgUp PgDn", "Ten slices at once"],
  ["N P", "Next and previous finding"],
  ["1 … 7", "Jump to C1 … C7"],
  ["B S W", "Window: bone, soft tissue, wide"],
  ["H", "Show or hide all marks of the system"],
  ["O", "Outlines of the levels"],
  ["A", "Next layout: three planes, axial, coronal, sagittal"],
  ["D", "Distance: drag in an image; Esc removes it"],
  ["+ −", "Zoom at the crosshair; Ctrl and wheel does the same. Drag to move (right button with three planes)"],
  ["R", "Reset"],
  ["?", "This list"],
];

function showPatient() {
  const h = study.header;
  const about = [["ID", h.patient_id], ["Born", h.birth_date && dicomDate(h.birth_date)], ["Sex", h.patient_sex], ["Study", dicomDate(h.study_date)], ["", h.study_description || h.series_description]];
  const parts = about.filter(([, v]) => v).map(([k, v]) => el("span", { class: "dim" }, k ? `${k} ${v}` : v));
  at("patient").replaceChildren(el("strong", {}, personName(h.patient_name)), ...parts);
  document.title = "Study · cspine";
}

function marksShown() {
  const levels = findings.vertebrae.filter((v) => v.center_lps_mm).map((v) => ({ name: v.vertebra, center: v.center_lps_mm, box: v.box_lps_mm, color: panel.colors[Number(v.vertebra[1]) - 1] }));
  const boxes = [];
  for (const vertebra of findings.vertebrae) {
    for (const place of vertebra.locations) {
      const [min, max] = place.box_lps_mm;
      boxes.push({ name: `F${boxes.length + 1}`, min, max, color: FRACTURE });
    }
  }
  const redrawn = panel.redrawn.map(([min, max]) => ({ name: "", min, max, color: REDRAWN, dashed: true }));
  return { ...state, levels, boxes: [...boxes, ...redrawn], scale: window.devicePixelRatio || 1 };
}

function redraw() {
  const over = at("over");
  const scale = window.devicePixelRatio || 1;
  const size = [Math.round(over.clientWidth * scale), Math.round(over.clientHeight * scale)];
  if (over.width !== size[0] || over.height !== size[1]) [over.width, over.height] = size;
  const context = over.getContext("2d", view instanceof PlainView ? IN_MEMORY : undefined);
  const boxes = drawMarks(context, view.tiles, marksShown());
  stage.dataset.boxes = JSON.stringify(boxes);
  showPlace(view.at);
  at("slice").value = Math.round(grid.axial.toIndex(view.at)[0]) + 1;
  panel.follow(view.at);
}

function showPlace(lps, tile) {
  const [k] = grid.axial.toIndex(lps);
  const n = grid.axial.shape[0];
  const where = [0, 1, 2].map((axis) => placeText(axis, lps)).join("  ");
  const value = view.hu(lps);
  const hu = value === null || value === undefined ? "" : `\n${Math.round(value)} HU${tile ? " under the cursor" : ""}`;
  at("place").textContent = `slice ${Math.min(n, Math.max(1, Math.round(k) + 1))} of ${n} from the head\n${where} mm${hu}`;
}

function pixel(event) {
  const bounds = stage.getBoundingClientRect();
  const scale = window.devicePixelRatio || 1;
  return [(event.clientX - bounds.left) * scale, (event.clientY - bounds.top) * scale];
}

let hovered = null;

function hover(event) {
  const [x, y] = pixel(event);
  hovered = tileAt(view.tiles, x, y)?.plane ?? null;
  const tile = tileAt(view.tiles, x, y);
  if (tile) showPlace(tile.toWorld(x, y), tile);
}

function step(count, plane) {
  const tile = view.tiles.find((one) => one.plane === plane) ?? view.tiles[0];
  const { along } = PLANES[tile.plane];
  const here = [...view.at];
  // Axial steps follow the slices as they were scanned, the others one pixel at a time.
  if (tile.plane === "axial") {
    const index = grid.axial.toIndex(here);
    index[0] = Math.min(grid.axial.shape[0] - 1, Math.max(0, Math.round(index[0]) + count));
    view.at = grid.axial.toWorld(index);
    return;
  }
  here[along] += count * grid.axial.stepMm[1];
  if (grid.stored.offset(here) >= 0) view.at = here;
}

function toSlice(number) {
  const index = grid.axial.toIndex(view.at);
  view.at = grid.axial.toWorld([number - 1, index[1], index[2]]);
}

function onWheel(event) {
  event.preventDefault();
  event.stopImmediatePropagation();
  if (event.ctrlKey) view.zoom(event.deltaY < 0 ? 1.15 : 1 / 1.15);
  else step(event.deltaY > 0 ? 1 : -1, hovered);
  hover(event);
}

function drag(start) {
  const [x, y] = pixel(start);
  const tile = tileAt(view.tiles, x, y);
  if (!tile) return;
  const from = tile.toWorld(x, y);
  const line = { plane: tile.plane, from, to: null };
  if (!state.redraw) state.lines = [line];
  const move = (event) => {
    const to = tile.toWorld(...pixel(event));
    if (state.redraw) state.draft = draftBox(tile, from, to);
    else line.to = to;
    redraw();
  };
  const done = new AbortController();
  const on = (name, act) => at("over").addEventListener(name, act, { signal: done.signal });
  const end = () => {
    done.abort();
    if (state.redraw && state.draft) panel.takeBox(state.redraw, [state.draft.min, state.draft.max]);
    else if (line.to) panel.note(`Distance ${lengthMm(line).toFixed(1)} mm`);
  };
  const leave = () => { // a finger that the system took away has drawn nothing
    done.abort();
    Object.assign(state, { lines: [], draft: null });
    redraw();
  };
  at("over").setPointerCapture(start.pointerId);
  on("pointermove", move);
  on("pointerup", end);
  on("pointercancel", leave);
}

// A rectangle in one plane, as deep as the box that it replaces, or 10 mm.
function draftBox(tile, from, to) {
  const { along } = PLANES[tile.plane];
  const half = state.redraw.box ? (state.redraw.box[1][along] - state.redraw.box[0][along]) / 2 : 5;
  const min = from.map((v, i) => Math.min(v, to[i]));
  const max = from.map((v, i) => Math.max(v, to[i]));
  [min[along], max[along]] = [tile.at - half, tile.at + half];
  return { name: "", min, max, color: REDRAWN, dashed: true };
}

function setMode(mode) {
  state.mode = mode;
  if (mode === "cross") Object.assign(state, { lines: [], draft: null, redraw: null });
  stage.classList.toggle("drawing", mode !== "cross");
  for (const name of Object.keys(MODES)) at(`mode-${name}`).setAttribute("aria-pressed", String(name === mode));
  panel.note(state.redraw ? `Draw a box of ${state.redraw.vertebra} in an image. Esc leaves it.` : "");
  redraw();
}

function setWindow(name) {
  state.window = name;
  for (const other of Object.keys(study.windows)) at(`window-${other}`).setAttribute("aria-pressed", String(other === name));
  view.window(...study.windows[name], name);
  redraw();
}

function setLayout(name) {
  state.layout = name;
  for (const other of view.layouts) at(`layout-${other}`).setAttribute("aria-pressed", String(other === name));
  view.layout(name);
  redraw();
}

function setMarks(changes) {
  Object.assign(state, changes);
  at("marks").setAttribute("aria-pressed", String(state.marks));
  at("outlines").setAttribute("aria-pressed", String(state.outlines));
  view.showMarks({ outlines: state.marks && state.outlines, heat: state.marks ? state.heat : 0 });
  redraw();
}

function reset() {
  view.reset();
  view.at = panel.start ?? grid.stored.middle;
}

const ACTIONS = {
  b: () => setWindow("bone"),
  s: () => setWindow("soft"),
  w: () => setWindow("wide"),
  h: () => setMarks({ marks: !state.marks }),
  o: () => setMarks({ outlines: !state.outlines }),
  a: () => setLayout(view.layouts[(view.layouts.indexOf(state.layout) + 1) % view.layouts.length]),
  d: () => setMode(state.mode === "distance" ? "cross" : "distance"),
  r: reset,
  n: () => panel.next(1),
  p: () => panel.next(-1),
  "+": () => view.zoom(1.25),
  "=": () => view.zoom(1.25),
  "-": () => view.zoom(0.8),
  "?": () => at("help").showModal(),
  escape: () => setMode("cross"),
  arrowup: () => step(-1, hovered),
  arrowdown: () => step(1, hovered),
  pageup: () => step(-10, hovered),
  pagedown: () => step(10, hovered),
};

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || at("help").open || event.target.closest("input[type=text], textarea")) return;
  const key = event.key.toLowerCase();
  if (/^[1-7]$/.test(key)) panel.jump(Number(key) - 1);
  else if (ACTIONS[key]) ACTIONS[key]();
  else return;
  event.preventDefault();
  event.stopImmediatePropagation();
}

function choice(group, prefix, names, act) {
  const button = ([name, title]) => el("button", { id: `${prefix}-${name}`, "aria-pressed": "false", onclick: () => act(name) }, title);
  at(group).replaceChildren(...names.map(button));
}

function wire() {
  const titles = { planes: "Three planes", axial: "Axial", coronal: "Coronal", sagittal: "Sagittal", bone: "Bone", soft: "Soft tissue", wide: "Wide" };
  choice("windows", "window", Object.keys(study.windows).map((name) => [name, titles[name]]), setWindow);
  choice("layouts", "layout", view.layouts.map((name) => [name, titles[name]]), setLayout);
  choice("modes", "mode", Object.entries(MODES), setMode);
  at("marks").addEventListener("click", () => setMarks({ marks: !state.marks }));
  at("outlines").addEventListener("click", () => setMarks({ outlines: !state.outlines }));
  at("slice").max = grid.axial.shape[0];
  at("slice").addEventListener("input", () => toSlice(Number(at("slice").value)));
  at("heat").addEventListener("input", () => setMarks({ heat: Number(at("heat").value) }));
  at("heat-row").hidden = !geometry.heat || view instanceof PlainView;
  at("reset").addEventListener("click", reset);
  at("help-open").addEventListener("click", () => at("help").showModal());
  at("keys").replaceChildren(...KEYS.map(([k, what]) => el("tr", {}, el("td", {}, el("kbd", {}, k)), el("td", {}, what))));
  stage.addEventListener("wheel", onWheel, { capture: true, passive: false });
  stage.addEventListener("pointermove", hover);
  at("over").addEventListener("pointerdown", (event) => event.isPrimary && drag(event));
  document.addEventListener("keydown", onKey, { capture: true });
  window.addEventListener("resize", () => requestAnimationFrame(redraw));
}

async function makeView(canvas) {
  const asked = new URLSearchParams(location.search);
  let reason = "";
  if (!asked.has("plain")) {
    const { Scene } = await import("/static/scene.js");
    const large = geometry.shape.reduce((a, b) => a * b) > SOFTWARE_VOXELS;
    reason = "This browser has no WebGL 2: axial slices only.";
    if (Scene.possible()) {
      if (asked.has("planes") || !large || !Scene.software()) return new Scene(canvas, grid.stored);
      reason = "This browser draws without a graphics card, too slowly for a study of this size: axial slices only.";
    }
  }
  panel.lasting = reason;
  return new PlainView(canvas, grid.stored, { shape: geometry.canonical_shape, affine: geometry.canonical_affine });
}

async function open() {
  who = await session();
  study = await api(url);
  showPatient();
  if (!study.decision) {
    at("loading").textContent = `This study has no result: it is ${study.state}. ${study.error}`;
    return;
  }
  [findings, geometry] = await Promise.all([api(`${url}/findings`), api(`${url}/geometry`)]);
  grid = { stored: new VolumeGrid(geometry.shape, geometry.affine), axial: new VolumeGrid(geometry.canonical_shape, geometry.canonical_affine) };
  panel = new Panel(at("panel"), { study, findings, who, url });
  await panel.load();
  view = await makeView(at("images"));
  wire();
  await view.open(url, { levels: true, heat: geometry.heat, colors: panel.colors, progress: (text) => { at("loading").textContent = text; } });
  at("loading").hidden = true;
  view.changed = redraw;
  panel.go = (lps) => { view.at = lps; };
  panel.changed = redraw;
  panel.wantBox = (wanted) => { state.redraw = wanted; setMode("redraw"); };
  panel.boxTaken = () => setMode("cross");
  setWindow("bone");
  setLayout(view.layouts[0]);
  setMarks({});
  setMode("cross");
  reset();
  stage.dataset.ready = "yes";
}

await open().catch((error) => {
  at("loading").hidden = false;
  at("loading").className = "loading error";
  at("loading").textContent = error.message;
});

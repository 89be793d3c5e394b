// Axial slices as pictures, for browsers without WebGL. The same marks, the same keys.

import { VolumeGrid } from "/static/geometry.js";

// Drawn by the processor: an emulated graphics card takes a second for each slice.
export const IN_MEMORY = { willReadFrequently: true };
const NEAREST = 10;
const AHEAD = 4; // slices that are fetched before they are asked for
const KEPT = 240; // pictures
const OUTLINE_PX = 1.5; // thin: a break of the cortex must not hide below it

export class PlainView {
  constructor(canvas, grid, canonical) {
    this.canvas = canvas;
    this.grid = grid;
    this.axial = new VolumeGrid(canonical.shape, canonical.affine);
    this.layouts = ["axial"];
    this.number = Math.floor(canonical.shape[0] / 2);
    this.name = "bone";
    this.pictures = new Map();
    this.here = this.axial.middle;
    this.drawn = { outlines: true };
    this.zoomed = 1;
    this.offset = [0, 0];
    this.heading = 1;
  }

  async open(url, { levels, colors }) {
    this.url = url;
    this.colors = levels ? colors : null;
    new ResizeObserver(() => this.#move([0, 0])).observe(this.canvas);
    this.canvas.addEventListener("pointerdown", (event) => event.isPrimary && this.#drag(event));
    this.canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    await this.#draw();
  }

  get tiles() {
    const { width, height } = this.canvas;
    const [, rows, columns] = this.axial.shape;
    const [, rowMm, columnMm] = this.axial.stepMm;
    const scale = this.zoomed * Math.min(width / (columns * columnMm), height / (rows * rowMm));
    const [w, h] = [columns * columnMm * scale, rows * rowMm * scale];
    const [x, y] = [(width - w) / 2 + this.offset[0], (height - h) / 2 + this.offset[1]];
    const [left, top] = [Math.max(0, x), Math.max(0, y)];
    const rect = [left, top, Math.min(width, x + w) - left, Math.min(height, y + h) - top];
    const toPixel = (lps) => {
      const [, r, c] = this.axial.toIndex(lps);
      return [x + ((c + 0.5) / columns) * w, y + ((r + 0.5) / rows) * h];
    };
    const toWorld = (px, py) => this.axial.toWorld([this.number, ((py - y) / h) * rows - 0.5, ((px - x) / w) * columns - 0.5]);
    return [{ plane: "axial", plain: true, rect, whole: [x, y, w, h], at: this.here[2], toPixel, toWorld }];
  }

  get at() {
    return this.here;
  }

  set at(lps) {
    const [k, r, c] = this.axial.toIndex(lps);
    const before = this.number;
    this.number = Math.min(this.axial.shape[0] - 1, Math.max(0, Math.round(k)));
    this.heading = Math.sign(this.number - before) || this.heading;
    this.here = this.axial.toWorld([this.number, r, c]);
    this.#draw();
  }

  hu() {
    return null;
  }

  window(low, high, name) {
    this.name = name;
    this.#draw();
  }

  layout() {}

  showMarks(drawn) {
    this.drawn = drawn;
    this.#draw();
  }

  zoom(by) {
    const before = this.tiles[0].toPixel(this.here);
    this.zoomed = Math.min(NEAREST, Math.max(1, this.zoomed * by));
    const after = this.tiles[0].toPixel(this.here);
    this.#move([before[0] - after[0], before[1] - after[1]]);
  }

  reset() {
    this.zoomed = 1;
    this.#move([0, 0]);
  }

  // Moves the image, as far as it reaches beyond what is shown.
  #move(by) {
    const { whole } = this.tiles[0];
    const room = [(whole[2] - this.canvas.width) / 2, (whole[3] - this.canvas.height) / 2].map((v) => Math.max(0, v));
    this.offset = this.offset.map((v, i) => Math.min(room[i], Math.max(-room[i], v + by[i])));
    this.#draw();
  }

  #drag(start) {
    const scale = window.devicePixelRatio || 1;
    const done = new AbortController();
    const on = (name, act) => this.canvas.addEventListener(name, act, { signal: done.signal });
    this.canvas.setPointerCapture(start.pointerId);
    on("pointermove", (event) => this.#move([event.movementX * scale, event.movementY * scale]));
    for (const end of ["pointerup", "pointercancel"]) on(end, () => done.abort());
  }

  async #draw() {
    const { clientWidth, clientHeight } = this.canvas;
    const scale = window.devicePixelRatio || 1;
    const size = [Math.max(1, Math.round(clientWidth * scale)), Math.max(1, Math.round(clientHeight * scale))];
    if (this.canvas.width !== size[0] || this.canvas.height !== size[1]) [this.canvas.width, this.canvas.height] = size;
    const asked = (this.asked = `${this.number} ${this.name} ${this.drawn.outlines}`);
    const wanted = this.#picture(this.#grayOf(this.number));
    for (let k = 1; k <= AHEAD; k++) this.#fetchAhead(this.number + k * this.heading);
    const gray = await wanted;
    const edges = this.colors && this.drawn.outlines ? await this.#edges() : null;
    if (asked !== this.asked || !gray) return;
    const context = this.canvas.getContext("2d", IN_MEMORY);
    const [x, y, w, h] = this.tiles[0].whole;
    context.fillStyle = "#000";
    context.fillRect(0, 0, this.canvas.width, this.canvas.height);
    context.drawImage(gray, x, y, w, h);
    if (edges) {
      context.save();
      context.setTransform(w / gray.width, 0, 0, h / gray.height, x, y);
      context.lineWidth = (OUTLINE_PX * scale * gray.width) / w;
      for (const [level, path] of edges) {
        context.strokeStyle = this.colors[level - 1];
        context.stroke(path);
      }
      context.restore();
    }
    this.changed?.();
  }

  #grayOf(number) {
    return `${this.url}/slices/${number}.png?window=${this.name}`;
  }

  #levelsOf(number) {
    return `${this.url}/slices/${number}/levels.png`;
  }

  #fetchAhead(number) {
    if (number < 0 || number >= this.axial.shape[0]) return;
    this.#picture(this.#grayOf(number));
    if (this.colors && this.drawn.outlines) this.#picture(this.#levelsOf(number));
  }

  async #picture(url) {
    if (!this.pictures.has(url)) {
      if (this.pictures.size > KEPT) this.pictures.clear();
      this.pictures.set(url, fetch(url).then((answer) => (answer.ok ? answer.blob().then(createImageBitmap) : null)));
    }
    return this.pictures.get(url);
  }

  async #edges() {
    const labels = await this.#picture(this.#levelsOf(this.number));
    if (!labels) return null;
    const made = new OffscreenCanvas(labels.width, labels.height);
    const context = made.getContext("2d", IN_MEMORY);
    context.drawImage(labels, 0, 0);
    return edgesOf(context.getImageData(0, 0, labels.width, labels.height));
  }
}

// The borders between pixels of different levels, by level, in pixels.
function edgesOf({ width, height, data }) {
  const paths = new Map();
  const level = (x, y) => (x < 0 || y < 0 || x >= width || y >= height ? 0 : data[4 * (y * width + x)]);
  const side = (mine, x0, y0, x1, y1) => {
    if (!paths.has(mine)) paths.set(mine, new Path2D());
    paths.get(mine).moveTo(x0, y0);
    paths.get(mine).lineTo(x1, y1);
  };
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const mine = level(x, y);
      if (!mine) continue;
      if (level(x - 1, y) !== mine) side(mine, x, y, x, y + 1);
      if (level(x + 1, y) !== mine) side(mine, x + 1, y, x + 1, y + 1);
      if (level(x, y - 1) !== mine) side(mine, x, y, x + 1, y);
      if (level(x, y + 1) !== mine) side(mine, x, y + 1, x + 1, y + 1);
    }
  }
  return paths;
}

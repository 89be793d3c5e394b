// Axial slices as pictures, for browsers without WebGL. The same marks, the same keys.

import { VolumeGrid } from "/static/geometry.js";

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
  }

  async open(url, { levels, colors }) {
    this.url = url;
    this.colors = levels ? colors : null;
    new ResizeObserver(() => this.#draw()).observe(this.canvas);
    await this.#draw();
  }

  get tiles() {
    const { width, height } = this.canvas;
    const [, rows, columns] = this.axial.shape;
    const [, rowMm, columnMm] = this.axial.stepMm;
    const scale = Math.min(width / (columns * columnMm), height / (rows * rowMm));
    const [w, h] = [columns * columnMm * scale, rows * rowMm * scale];
    const [x, y] = [(width - w) / 2, (height - h) / 2];
    const toPixel = (lps) => {
      const [, r, c] = this.axial.toIndex(lps);
      return [x + ((c + 0.5) / columns) * w, y + ((r + 0.5) / rows) * h];
    };
    const toWorld = (px, py) => this.axial.toWorld([this.number, ((py - y) / h) * rows - 0.5, ((px - x) / w) * columns - 0.5]);
    return [{ plane: "axial", plain: true, rect: [x, y, w, h], at: this.here[2], toPixel, toWorld }];
  }

  get at() {
    return this.here;
  }

  set at(lps) {
    const [k, r, c] = this.axial.toIndex(lps);
    this.number = Math.min(this.axial.shape[0] - 1, Math.max(0, Math.round(k)));
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

  zoom() {}

  reset() {}

  async #draw() {
    const { clientWidth, clientHeight } = this.canvas;
    const scale = window.devicePixelRatio || 1;
    const size = [Math.max(1, Math.round(clientWidth * scale)), Math.max(1, Math.round(clientHeight * scale))];
    if (this.canvas.width !== size[0] || this.canvas.height !== size[1]) [this.canvas.width, this.canvas.height] = size;
    const asked = (this.asked = `${this.number} ${this.name} ${this.drawn.outlines}`);
    const gray = await this.#picture(`${this.url}/slices/${this.number}.png?window=${this.name}`);
    const edges = this.colors && this.drawn.outlines ? await this.#edges() : null;
    if (asked !== this.asked || !gray) return;
    const context = this.canvas.getContext("2d");
    const rect = this.tiles[0].rect;
    context.fillStyle = "#000";
    context.fillRect(0, 0, this.canvas.width, this.canvas.height);
    context.drawImage(gray, ...rect);
    context.imageSmoothingEnabled = false;
    if (edges) context.drawImage(edges, ...rect);
    context.imageSmoothingEnabled = true;
    this.changed?.();
  }

  async #picture(url) {
    if (!this.pictures.has(url)) {
      if (this.pictures.size > 200) this.pictures.clear();
      this.pictures.set(url, fetch(url).then((answer) => (answer.ok ? answer.blob().then(createImageBitmap) : null)));
    }
    return this.pictures.get(url);
  }

  async #edges() {
    const labels = await this.#picture(`${this.url}/slices/${this.number}/levels.png`);
    if (!labels) return null;
    const made = new OffscreenCanvas(labels.width, labels.height);
    const context = made.getContext("2d", { willReadFrequently: true });
    context.drawImage(labels, 0, 0);
    const image = context.getImageData(0, 0, labels.width, labels.height);
    context.putImageData(edgesOf(image, this.colors), 0, 0);
    return made;
  }
}

function edgesOf(image, colors) {
  const { width, height, data } = image;
  const out = new ImageData(width, height);
  for (let y = 1; y < height - 1; y++) {
    for (let x = 1; x < width - 1; x++) {
      const at = 4 * (y * width + x);
      const level = data[at];
      if (!level || (data[at - 4] === level && data[at + 4] === level && data[at - 4 * width] === level && data[at + 4 * width] === level)) continue;
      const hex = colors[level - 1];
      for (let k = 0; k < 3; k++) out.data[at + k] = parseInt(hex.slice(1 + 2 * k, 3 + 2 * k), 16);
      out.data[at + 3] = 220;
    }
  }
  return out;
}


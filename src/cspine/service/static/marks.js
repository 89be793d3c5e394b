// Draws what the system says over the images: level names, fracture boxes, distances. A tile is one shown plane:
// { plane, rect: [x, y, w, h], at: LPS mm of the plane along its normal, toPixel(lps) → [x, y], toWorld(x, y) → lps }.

import { PLANES, SIDES } from "/static/geometry.js";

export const FRACTURE = "#ff4d6d";
export const REDRAWN = "#39d4ff";
const NAME_REACH_MM = 10;

export function drawMarks(context, tiles, shown) {
  const { canvas } = context;
  context.clearRect(0, 0, canvas.width, canvas.height);
  const boxes = [];
  for (const tile of tiles) {
    context.save();
    context.beginPath();
    context.rect(...tile.rect);
    context.clip();
    if (shown.marks) {
      for (const level of shown.levels) drawName(context, tile, level, shown.scale);
      for (const box of shown.boxes) {
        const drawn = drawBox(context, tile, box, shown.scale);
        if (drawn) boxes.push({ plane: tile.plane, name: box.name, rect: drawn });
      }
    }
    for (const line of shown.lines) drawLine(context, tile, line, shown.scale);
    if (shown.draft) drawBox(context, tile, shown.draft, shown.scale);
    if (tile.plain) drawSides(context, tile, shown.scale);
    context.restore();
  }
  return boxes;
}

function drawName(context, tile, level, scale) {
  if (!level.center || Math.abs(level.center[PLANES[tile.plane].along] - tile.at) > NAME_REACH_MM) return;
  const [middle, y] = tile.toPixel(level.center);
  const sides = (level.box ?? []).map((corner) => tile.toPixel(corner)[0]);
  const beside = Math.min(middle, ...sides) - 14 * scale; // beside the bone: nothing of it is hidden
  text(context, level.name, Math.max(tile.rect[0] + 14 * scale, beside), y, level.color, 13 * scale);
}

function text(context, words, x, y, color, size) {
  context.font = `600 ${size}px system-ui, sans-serif`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.lineJoin = "round";
  context.lineWidth = size / 4;
  context.strokeStyle = "#000c";
  context.strokeText(words, x, y);
  context.fillStyle = color;
  context.fillText(words, x, y);
}

function drawBox(context, tile, box, scale) {
  const { along } = PLANES[tile.plane];
  if (tile.at < box.min[along] || tile.at > box.max[along]) return null;
  const a = tile.toPixel(box.min);
  const b = tile.toPixel(box.max);
  const rect = [Math.min(a[0], b[0]), Math.min(a[1], b[1]), Math.abs(a[0] - b[0]), Math.abs(a[1] - b[1])];
  context.lineWidth = 2 * scale;
  context.strokeStyle = box.color;
  context.setLineDash(box.dashed ? [6 * scale, 4 * scale] : []);
  context.strokeRect(...rect);
  context.setLineDash([]);
  if (box.name) text(context, box.name, rect[0] + rect[2] / 2, rect[1] - 11 * scale, box.color, 12 * scale);
  return rect;
}

function drawLine(context, tile, line, scale) {
  if (line.plane !== tile.plane || !line.to) return;
  const [a, b] = [tile.toPixel(line.from), tile.toPixel(line.to)];
  context.lineWidth = 1.5 * scale;
  context.strokeStyle = "#ffe066";
  context.beginPath();
  context.moveTo(...a);
  context.lineTo(...b);
  context.stroke();
  text(context, `${lengthMm(line).toFixed(1)} mm`, (a[0] + b[0]) / 2, (a[1] + b[1]) / 2 - 10 * scale, "#ffe066", 13 * scale);
}

function drawSides(context, tile, scale) {
  const { across, down } = PLANES[tile.plane];
  const [x, y, w, h] = tile.rect;
  const inset = 12 * scale;
  text(context, SIDES[across][0], x + inset, y + h / 2, "#cfd8e3", 14 * scale);
  text(context, SIDES[across][1], x + w - inset, y + h / 2, "#cfd8e3", 14 * scale);
  text(context, SIDES[down][0], x + w / 2, y + inset, "#cfd8e3", 14 * scale);
  text(context, SIDES[down][1], x + w / 2, y + h - inset, "#cfd8e3", 14 * scale);
}

export const lengthMm = ({ from, to }) => Math.hypot(...from.map((v, i) => v - to[i]));

export const tileAt = (tiles, x, y) => tiles.find(({ rect: [l, t, w, h] }) => x >= l && y >= t && x <= l + w && y <= t + h);

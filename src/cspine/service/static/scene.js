// Three linked planes by NiiVue. Everything in and out is LPS mm.

import { DRAG_MODE, MULTIPLANAR_TYPE, Niivue, SHOW_RENDER, SLICE_TYPE } from "/static/vendor/niivue.js";
import { flip, PLANES } from "/static/geometry.js";

const KINDS = { planes: SLICE_TYPE.MULTIPLANAR, axial: SLICE_TYPE.AXIAL, coronal: SLICE_TYPE.CORONAL, sagittal: SLICE_TYPE.SAGITTAL };
const NAMES = ["axial", "coronal", "sagittal"];
const HEAT = { R: [0, 200, 255, 255], G: [0, 30, 140, 240], B: [0, 40, 20, 150], A: [0, 110, 190, 230], I: [0, 64, 160, 255] };
const OUTLINE = 1; // opacity of the outlines
const TINT = 0.14; // opacity within them; the library takes it from the whole image, not from the colors
const NIFTI_INTENT_LABEL = 1002; // without it the library fills levels instead of drawing their outlines

export class Scene {
  static possible() {
    return Boolean(document.createElement("canvas").getContext("webgl2"));
  }

  // Whether the processor draws in place of a graphics card.
  static software() {
    const gl = document.createElement("canvas").getContext("webgl2");
    const info = gl?.getExtension("WEBGL_debug_renderer_info");
    return /swiftshader|llvmpipe|software/i.test(info ? gl.getParameter(info.UNMASKED_RENDERER_WEBGL) : "");
  }

  constructor(canvas, grid) {
    this.canvas = canvas;
    this.grid = grid;
    this.layouts = Object.keys(KINDS);
    this.nv = new Niivue({
      isRadiologicalConvention: true,
      sagittalNoseLeft: true,
      isSliceMM: true,
      backColor: [0, 0, 0, 1],
      crosshairColor: [0.49, 0.77, 1, 0.75],
      crosshairWidth: 0.5,
      crosshairWidthUnit: "mm",
      crosshairGap: 12,
      multiplanarShowRender: SHOW_RENDER.NEVER,
      multiplanarLayout: MULTIPLANAR_TYPE.GRID,
      multiplanarPadPixels: 4,
      tileMargin: 0,
      dragMode: DRAG_MODE.pan,
      isResizeCanvas: true,
      dragAndDropEnabled: false,
      loadingText: "",
      logLevel: "error",
      fontMinPx: 12,
      atlasOutline: OUTLINE,
    });
  }

  async open(url, { levels, heat, colors, progress }) {
    await this.nv.attachToCanvas(this.canvas);
    this.nv.addColormap("fracture", HEAT);
    const volumes = [{ url: `${url}/volume.nii`, name: "volume.nii", colormap: "gray", cal_min: -450, cal_max: 1350 }];
    if (levels) volumes.push({ url: `${url}/levels.nii.gz`, name: "levels.nii.gz", opacity: TINT });
    if (heat) volumes.push({ url: `${url}/heat.nii.gz`, name: "heat.nii.gz", colormap: "fracture", cal_min: 1, cal_max: 255, opacity: 0.4 });
    progress("Loading the images …");
    await this.nv.loadVolumes(volumes);
    [this.volume, this.levels, this.heat] = [this.nv.volumes[0], levels ? this.nv.volumes[1] : null, heat ? this.nv.volumes.at(-1) : null];
    if (this.levels) this.#colorLevels(colors);
    this.nv.setInterpolation(false);
    this.nv.onLocationChange = () => this.changed?.();
    new ResizeObserver(() => requestAnimationFrame(() => this.changed?.())).observe(this.canvas);
    const draw = this.nv.drawScene.bind(this.nv);
    this.nv.drawScene = (...given) => {
      const done = draw(...given);
      this.changed?.();
      return done;
    };
  }

  #colorLevels(colors) {
    const parts = colors.map((hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16)));
    const of = (k) => [0, ...parts.map((rgb) => rgb[k])];
    const numbers = [0, ...colors.map((_, k) => k + 1)];
    this.levels.setColormapLabel({ R: of(0), G: of(1), B: of(2), A: numbers.map((n) => (n ? 255 : 0)), I: numbers, labels: numbers.map(String) });
    this.levels.hdr.intent_code = NIFTI_INTENT_LABEL;
    this.nv.updateGLVolume();
  }

  // Every update sends all voxels through the graphics processor again; without one that takes seconds.
  #update(changes) {
    const changed = changes.filter(([object, name, value]) => object[name] !== value);
    for (const [object, name, value] of changed) object[name] = value;
    if (changed.length) this.nv.updateGLVolume();
  }

  get tiles() {
    return this.nv.screenSlices.filter((one) => one.axCorSag <= 2 && one.fovMM.length).map((one) => this.#tile(one));
  }

  #tile(one) {
    const plane = NAMES[one.axCorSag];
    const { across, down, along } = PLANES[plane];
    let [x, y, w, h] = one.leftTopWidthHeight;
    const mirrored = w < 0;
    if (mirrored) [x, w] = [x + w, -w];
    const [left, top] = one.leftTopMM;
    const [wide, high] = one.fovMM;
    const here = this.at;
    const toPixel = (lps) => {
      const ras = flip(lps);
      const u = (ras[across] - left) / wide;
      return [x + (mirrored ? 1 - u : u) * w, y + (1 - (ras[down] - top) / high) * h];
    };
    const toWorld = (px, py) => {
      const u = (px - x) / w;
      const ras = flip(here);
      ras[across] = left + (mirrored ? 1 - u : u) * wide;
      ras[down] = top + (1 - (py - y) / h) * high;
      return flip(ras);
    };
    return { plane, rect: [x, y, w, h], at: here[along], toPixel, toWorld };
  }

  get at() {
    return flip([...this.nv.frac2mm(this.nv.scene.crosshairPos)].slice(0, 3));
  }

  set at(lps) {
    this.nv.scene.crosshairPos = this.nv.mm2frac(flip(lps));
    this.nv.drawScene();
  }

  hu(lps) {
    const at = this.grid.offset(lps);
    return at < 0 ? null : this.volume.img[at];
  }

  window(low, high) {
    this.#update([[this.volume, "cal_min", low], [this.volume, "cal_max", high]]);
  }

  layout(name) {
    this.nv.setSliceType(KINDS[name]);
  }

  showMarks({ outlines, heat }) {
    const changes = [];
    if (this.levels) changes.push([this.nv.opts, "atlasOutline", outlines ? OUTLINE : 0], [this.levels, "opacity", outlines ? TINT : 0]);
    if (this.heat) changes.push([this.heat, "opacity", heat]);
    this.#update(changes);
  }

  zoom(factor) {
    const [x, y, z, zoom] = this.nv.scene.pan2Dxyzmm;
    const next = Math.min(12, Math.max(1, zoom * factor));
    const center = flip(this.at);
    const pan = next === 1 ? [0, 0, 0] : zoom === next ? [x, y, z] : center.map((v, i) => this.#middleRas[i] - v);
    this.nv.setPan2Dxyzmm([...pan, next]);
  }

  get #middleRas() {
    return flip(this.grid.middle);
  }

  reset() {
    this.nv.setPan2Dxyzmm([0, 0, 0, 1]);
  }
}

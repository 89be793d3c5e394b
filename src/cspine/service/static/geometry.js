// Patient coordinates. The service speaks DICOM's LPS, the viewer library NIfTI's RAS; both in mm.

export const flip = ([x, y, z]) => [-x, -y, z];

// The affine of the service maps (slice, row, column) to LPS.
export class VolumeGrid {
  constructor(shape, affine) {
    this.shape = shape;
    this.affine = affine;
    this.inverse = inverse3(affine);
  }

  toIndex(lps) {
    const d = lps.map((v, i) => v - this.affine[i][3]);
    return this.inverse.map((row) => row[0] * d[0] + row[1] * d[1] + row[2] * d[2]);
  }

  toWorld(index) {
    return [0, 1, 2].map((i) => this.affine[i][0] * index[0] + this.affine[i][1] * index[1] + this.affine[i][2] * index[2] + this.affine[i][3]);
  }

  offset(lps) {
    const [k, r, c] = this.toIndex(lps).map(Math.round);
    const [n, rows, columns] = this.shape;
    const inside = k >= 0 && r >= 0 && c >= 0 && k < n && r < rows && c < columns;
    return inside ? (k * rows + r) * columns + c : -1;
  }

  get middle() {
    return this.toWorld(this.shape.map((n) => (n - 1) / 2));
  }

  get stepMm() {
    return [0, 1, 2].map((axis) => Math.hypot(...[0, 1, 2].map((i) => this.affine[i][axis])));
  }
}

function inverse3(m) {
  const [[a, b, c], [d, e, f], [g, h, i]] = m;
  const det = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g);
  return [
    [(e * i - f * h) / det, (c * h - b * i) / det, (b * f - c * e) / det],
    [(f * g - d * i) / det, (a * i - c * g) / det, (c * d - a * f) / det],
    [(d * h - e * g) / det, (b * g - a * h) / det, (a * e - b * d) / det],
  ];
}

// Which patient axes a plane shows across and down, and which it looks along.
export const PLANES = {
  axial: { across: 0, down: 1, along: 2 },
  coronal: { across: 0, down: 2, along: 1 },
  sagittal: { across: 1, down: 2, along: 0 },
};

export const SIDES = [["R", "L"], ["A", "P"], ["F", "H"]];

export const placeText = (axis, lps) => `${SIDES[axis][lps[axis] < 0 ? 0 : 1]} ${Math.abs(lps[axis]).toFixed(1)}`;

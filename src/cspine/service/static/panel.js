// What the system says, level by level; each leads to its place. And what the reader says to it.

import { api, archiveWords, chip, duration, el, percent } from "/static/api.js";

// The colors of the levels, as in every report (after Okabe and Ito).
export const COLORS = ["#f0e442", "#56b4e9", "#e69f00", "#6e92ff", "#ffadcc", "#00b280", "#eb6014"];
const VERDICTS = { confirm: "confirmed", reject: "rejected", redraw: "redrawn", present: "fracture", absent: "no fracture" };
const DOCUMENTS = { html: "Report", pdf: "PDF", json: "JSON", seg: "SEG", "fracture-seg": "Fracture SEG", sr: "SR", sc: "Capture", pr: "Marks", "dicom-pdf": "DICOM PDF" };

export class Panel {
  constructor(root, { study, findings, who, url }) {
    Object.assign(this, { root, study, findings, who, url, colors: COLORS, feedback: [] });
    this.places = findings.vertebrae.map((v) => this.#placesOf(v));
    this.marked = el("p", { class: "notice", role: "status" });
    this.at = -1;
    this.lasting = ""; // what is said while there is nothing else to say
  }

  async load() {
    this.feedback = await api(`${this.url}/feedback`);
    this.#draw();
  }

  // The first finding, else the middle of the levels that were seen.
  get start() {
    const first = this.findings.vertebrae.flatMap((v) => v.locations)[0];
    if (first) return middle(first.box_lps_mm);
    const centers = this.findings.vertebrae.map((v) => v.center_lps_mm).filter(Boolean);
    return centers[Math.floor(centers.length / 2)] ?? null;
  }

  get redrawn() {
    return [...this.#latest().values()].filter((one) => one.box_lps_mm && one.verdict === "redraw").map((one) => one.box_lps_mm);
  }

  jump(number) {
    const [place] = this.places[number];
    if (place) this.go(place);
  }

  next(by) {
    const all = this.findings.vertebrae.flatMap((v) => v.locations.map((l) => middle(l.box_lps_mm)));
    const stops = all.length ? all : this.places.flatMap((p) => p.slice(0, 1));
    if (!stops.length) return;
    this.at = (this.at + by + stops.length) % stops.length;
    this.go(stops[this.at]);
  }

  // Marks the level that the crosshair is in.
  follow(lps) {
    this.findings.vertebrae.forEach((v, k) => {
      const box = v.box_lps_mm;
      const inside = Boolean(box) && lps.every((x, i) => x >= box[0][i] && x <= box[1][i]);
      this.root.querySelectorAll(".level")[k]?.classList.toggle("here", inside);
    });
  }

  note(text) {
    this.marked.textContent = text || this.lasting;
  }

  async takeBox(wanted, box) {
    await this.#say(wanted.vertebra, wanted.location, "redraw", box);
    this.boxTaken();
  }

  #placesOf(vertebra) {
    const found = vertebra.locations.map((l) => middle(l.box_lps_mm));
    return vertebra.center_lps_mm ? [...found, vertebra.center_lps_mm] : found;
  }

  #latest() {
    return new Map(this.feedback.map((one) => [`${one.vertebra} ${one.location ?? ""}`, one]));
  }

  async #say(vertebra, location, verdict, box = null) {
    try {
      await api(`${this.url}/feedback`, { method: "POST", json: { vertebra, location, verdict, box_lps_mm: box } });
      await this.load();
      this.changed();
    } catch (error) {
      this.note(error.message);
    }
  }

  #draw() {
    const f = this.findings;
    const probability = f.probability === null ? "" : ` any fracture ${percent(f.probability)}`;
    const took = this.study.resulted_at ? `Result ${duration(this.study.resulted_at - this.study.received_at)} after the last image.` : "";
    this.root.replaceChildren(
      el("h2", {}, "Result"),
      el("div", { class: "said" }, chip(f.decision), probability, this.study.phantom ? " " : "", this.study.phantom ? chip("phantom") : ""),
      this.study.superseded_by ? el("p", { class: "error" }, "A newer version of this study has come. ", el("a", { href: `/studies/${this.study.superseded_by}` }, "Open it")) : "",
      this.marked,
      el("ul", { class: "levels" }, ...f.vertebrae.map((v, k) => this.#level(v, k))),
      ...this.#flags(),
      el("h2", {}, "Documents"),
      el("div", { class: "links" }, ...this.study.documents.map((kind) => el("a", { class: "button", href: `${this.url}/documents/${kind}`, target: "_blank", rel: "noopener" }, DOCUMENTS[kind] ?? kind)), ...this.#exports()),
      ...this.#archive(),
      el("h2", {}, "Never assessed"),
      el("p", { class: "notice" }, f.never_assessed.join(", ")),
      el("p", { class: "notice" }, `${f.software}, ${f.model.name} ${f.model.id.slice(0, 12)}. ${took}`),
    );
  }

  #flags() {
    if (!this.findings.flags.length) return [];
    const line = (flag) => el("li", {}, flag.vertebrae.length ? `${flag.vertebrae.join(", ")}: ` : "", flag.message);
    return [el("h2", {}, "Notes"), el("ul", { class: "flags" }, ...this.findings.flags.map(line))];
  }

  #archive() {
    const words = archiveWords(this.study);
    if (!words) return [];
    const again = this.study.sending.state === "failed" && this.who.may.includes("operator");
    const send = async () => {
      try {
        Object.assign(this.study, await api(`${this.url}/send`, { method: "POST" }));
        this.#draw();
      } catch (error) {
        this.note(error.message);
      }
    };
    return [el("p", { class: "notice", id: "archive" }, words), again ? el("button", { id: "send-again", onclick: send }, "Send again") : ""];
  }

  #exports() {
    if (!this.who.may.includes("operator")) return [];
    const warning = "Names, dates and identifiers are removed. A face can still be computed from a CT of the head: share it only with those who may see the patient. Export?";
    const get = () => { if (confirm(warning)) location.assign(`${this.url}/deidentified.zip`); };
    return [el("button", { id: "export", onclick: get }, "De-identified images")];
  }

  #level(vertebra, number) {
    const name = vertebra.vertebra;
    const said = vertebra.probability === null ? "" : percent(vertebra.probability);
    const button = el(
      "button",
      { class: `level ${vertebra.decision.replace(" ", "-")}`, "data-level": name, disabled: !this.places[number].length, onclick: () => this.jump(number) },
      el("span", { class: "dot" }),
      el("strong", {}, name),
      chip(vertebra.decision),
      el("span", {}, said),
    );
    button.querySelector(".dot").style.color = COLORS[number];
    return el("li", {}, button, this.#more(vertebra));
  }

  #more(vertebra) {
    const lines = vertebra.locations.map((place, k) => this.#location(vertebra, place, k));
    const seen = vertebra.visible_fraction < 1 && vertebra.visible_fraction > 0 ? `${Math.floor(100 * vertebra.visible_fraction)} % seen. ` : "";
    const why = [seen, vertebra.reason ?? "", vertebra.mimic ? ` Might instead be: ${vertebra.mimic}.` : ""].join("");
    const level = vertebra.locations.length || !vertebra.center_lps_mm ? null : this.#answers(vertebra.vertebra, null, null);
    if (!lines.length && !why && !level) return "";
    return el("div", { class: "more" }, why, ...lines, level);
  }

  #location(vertebra, place, k) {
    const before = this.findings.vertebrae.slice(0, Number(vertebra.vertebra[1]) - 1).reduce((n, v) => n + v.locations.length, 0);
    const jump = el("button", { "data-finding": `F${before + k + 1}`, onclick: () => this.go(middle(place.box_lps_mm)) }, `F${before + k + 1}`);
    return el("div", { class: "row" }, jump, `${place.type ?? "fracture"}, ${percent(place.probability)}`, this.#answers(vertebra.vertebra, k, place.box_lps_mm));
  }

  #answers(vertebra, location, box) {
    const said = this.#latest().get(`${vertebra} ${location ?? ""}`);
    const line = el("div", { class: "row", "data-answers": `${vertebra} ${location ?? ""}`.trim() });
    if (said) line.append(el("span", {}, `${VERDICTS[said.verdict]} by ${said.actor}, ${new Date(1000 * said.at).toLocaleString()}`));
    if (!this.who.may.includes("operator")) return said ? line : "";
    const button = (text, act) => el("button", { onclick: act }, text);
    const words = location === null ? [["No fracture", "absent"], ["Fracture", "present"]] : [["Confirm", "confirm"], ["Reject", "reject"]];
    line.append(
      ...words.map(([text, verdict]) => button(text, () => this.#say(vertebra, location, verdict))),
      button(location === null ? "Draw" : "Redraw", () => this.wantBox({ vertebra, location, box })),
    );
    return line;
  }
}

const middle = ([min, max]) => min.map((v, i) => (v + max[i]) / 2);

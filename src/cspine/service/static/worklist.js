import { api, archiveWords, chip, dicomDate, duration, el, logOut, percent, personName, session } from "/static/api.js";
import { filesOf, upload } from "/static/upload.js";

const at = (id) => document.getElementById(id);
let who;
let timer;

function resultCell(study) {
  if (study.decision) {
    const probability = study.probability === null ? "" : ` ${percent(study.probability)}`;
    return [chip(study.decision), probability, study.phantom ? el("div", {}, chip("phantom")) : null, archiveLine(study)];
  }
  if (study.state === "running") {
    const bar = el("progress", { max: 1, value: study.share, "aria-label": "progress" });
    return [chip(study.state), el("div", { class: "dim" }, study.stage), bar];
  }
  return [chip(study.state), study.error ? el("div", { class: "dim" }, study.error) : null];
}

function archiveLine(study) {
  const words = study.sending?.state === "done" ? "" : archiveWords(study);
  return words ? el("div", { class: "dim archive" }, words) : null;
}

function retryButton(study) {
  if (!["refused", "failed"].includes(study.state) || !who.may.includes("operator")) return null;
  const again = async () => {
    await api(`/api/studies/${study.id}/retry`, { method: "POST" }).catch(tell);
    await refresh();
  };
  return el("button", { onclick: again }, "Try again");
}

function timeCell(study, now) {
  if (study.resulted_at) return duration(study.resulted_at - study.received_at);
  return ["refused", "failed"].includes(study.state) ? "–" : `waiting ${duration(now - study.received_at)}`;
}

function studyRow(study, now) {
  const header = study.header;
  const title = header.study_description || header.series_description || "not given";
  const open = study.decision ? el("a", { class: "button", href: `/studies/${study.id}` }, "Open") : retryButton(study);
  return el(
    "tr",
    { "data-study": study.id, "data-state": study.state },
    el("td", {}, ...resultCell(study)),
    el("td", { class: "name" }, personName(header.patient_name)),
    el("td", { class: "name" }, header.patient_id || "not given"),
    el("td", { class: "name" }, title),
    el("td", { class: "tight" }, dicomDate(header.study_date)),
    el("td", { class: "tight" }, new Date(1000 * study.received_at).toLocaleString()),
    el("td", { class: "tight" }, timeCell(study, now)),
    el("td", { class: "tight" }, open),
  );
}

function uploadRow(one) {
  return el(
    "tr",
    { "data-upload": one.id, "data-state": one.state },
    el("td", {}, chip(one.state), one.error ? el("div", { class: "dim" }, one.error) : null),
    el("td", { colspan: 4, class: "dim" }, `upload of ${one.files} ${one.files === 1 ? "file" : "files"} by ${one.actor}`),
    el("td", { class: "tight" }, new Date(1000 * one.created_at).toLocaleString()),
    el("td", {}, "–"),
    el("td", {}),
  );
}

async function refresh() {
  clearTimeout(timer);
  try {
    const { studies, uploads, now } = await api("/api/studies");
    const firstCalm = studies.findIndex((study) => study.urgency > 1);
    const urgent = firstCalm < 0 ? studies : studies.slice(0, firstCalm);
    const calm = firstCalm < 0 ? [] : studies.slice(firstCalm);
    const rows = [...urgent.map((s) => studyRow(s, now)), ...uploads.map(uploadRow), ...calm.map((s) => studyRow(s, now))];
    at("rows").replaceChildren(...rows);
    at("empty").hidden = rows.length > 0;
    at("told").textContent = "";
    const busy = studies.some((s) => !["done", "refused", "failed"].includes(s.state)) || uploads.some((u) => u.state !== "refused");
    timer = setTimeout(refresh, busy ? 1000 : 5000);
  } catch (error) {
    tell(error);
    if (error.status === 401) location.replace("/login");
    timer = setTimeout(refresh, 5000);
  }
}

function tell(error) {
  at("told").textContent = error.message;
}

async function send(files) {
  if (!files.length) return;
  const total = files.reduce((sum, file) => sum + file.size, 0);
  const bar = el("progress", { max: 1, value: 0, "aria-label": "upload" });
  const line = el("div", { class: "dim" }, `${files.length === 1 ? "1 file" : `${files.length} files`}, ${(total / 1e6).toFixed(1)} MB`);
  const shown = el("div", { class: "upload" }, line, bar);
  at("uploads").append(shown);
  try {
    await upload(files, (sent) => { bar.value = total ? sent / total : 1; });
    line.textContent += " · received";
    setTimeout(() => shown.remove(), 4000);
  } catch (error) {
    line.className = "error";
    line.textContent = error.message;
    bar.remove();
    shown.append(el("button", { onclick: () => shown.remove() }, "Dismiss"));
  }
  await refresh();
}

function acceptFiles() {
  const drop = at("drop");
  drop.hidden = false;
  for (const [button, input] of [["pick-files", "files"], ["pick-folder", "folder"]]) {
    at(button).addEventListener("click", () => at(input).click());
    at(input).addEventListener("change", async () => {
      const files = [...at(input).files];
      at(input).value = "";
      await send(files);
    });
  }
  for (const kind of ["dragenter", "dragover"]) {
    drop.addEventListener(kind, (event) => { event.preventDefault(); drop.classList.add("over"); });
  }
  drop.addEventListener("dragleave", () => drop.classList.remove("over"));
  drop.addEventListener("drop", async (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    await send(await filesOf(event.dataTransfer));
  });
}

who = await session();
at("who").textContent = `${who.name} (${who.role})`;
at("logout").addEventListener("click", logOut);
at("admin").hidden = !who.may.includes("admin");
if (who.may.includes("operator")) acceptFiles();
await refresh();

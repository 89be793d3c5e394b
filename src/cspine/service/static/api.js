// Talks to the service: one error body, the token of the session with every change.

let csrf = "";

export class ApiError extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

export async function api(path, { method = "GET", json, body } = {}) {
  const headers = {};
  if (method !== "GET") headers["X-CSRF-Token"] = csrf;
  if (json !== undefined) headers["Content-Type"] = "application/json";
  let answer;
  try {
    answer = await fetch(path, { method, headers, body: json === undefined ? body : JSON.stringify(json) });
  } catch {
    throw new ApiError(0, "unreachable", "The service does not answer. Is it running, and the network up?");
  }
  if (answer.ok) return answer.status === 204 ? null : answer.json().catch(() => null);
  const told = await answer.json().catch(() => null);
  const error = told?.error ?? { code: "unknown", message: `The service answered ${answer.status}.` };
  throw new ApiError(answer.status, error.code, error.message);
}

export async function session() {
  try {
    const who = await api("/api/session");
    csrf = who.csrf ?? "";
    return who;
  } catch (error) {
    if (error.status === 401) {
      location.replace(`/login?next=${encodeURIComponent(location.pathname + location.search)}`);
      return new Promise(() => {});
    }
    throw error;
  }
}

export async function logOut() {
  await api("/api/session", { method: "DELETE" }).catch(() => {});
  location.replace("/login");
}

// An element with attributes and children; text is always text, never markup.
export function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name === "class") made.className = value;
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

export function personName(name) {
  if (!name) return "not given";
  const [family = "", given = ""] = name.split("=")[0].split("^");
  return [family, given].filter(Boolean).join(", ") || "not given";
}

export function dicomDate(date) {
  return /^\d{8}$/.test(date ?? "") ? `${date.slice(0, 4)}-${date.slice(4, 6)}-${date.slice(6)}` : "not given";
}

export function duration(seconds) {
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  if (s < 172800) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86400)} days`;
}

export function chip(word) {
  return el("span", { class: `chip ${word.replace(/[^a-z]+/g, "-")}` }, word);
}

export const percent = (p) => (p === null || p === undefined ? "–" : p > 0 && p < 0.01 ? "<1 %" : `${Math.round(100 * p)} %`);

// How far a result is on its way to the archive; nothing where none goes out.
export function archiveWords({ sending }) {
  if (!sending) return "";
  const { state, attempt, error } = sending;
  if (state === "done") return "In the archive.";
  if (state === "refused") return `Not sent to the archive: ${error}`;
  if (state === "failed") return `Not in the archive, given up after ${attempt} attempts: ${error}`;
  return error ? `Not in the archive yet, attempt ${attempt}: ${error}` : "On its way to the archive.";
}

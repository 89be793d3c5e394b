import { api, el, session } from "/static/api.js";

const at = (id) => document.getElementById(id);
const row = (...cells) => el("tr", {}, ...cells.map((cell) => el("td", {}, cell)));
const time = (seconds) => new Date(1000 * seconds).toLocaleString();

function tell(error) {
  at("told").textContent = error.message;
}

async function refresh() {
  const [accounts, agreement, audit] = await Promise.all([api("/api/accounts"), api("/api/feedback/agreement"), api("/api/audit")]);
  const remove = async (name) => {
    if (!confirm(`Remove the account ${name}?`)) return;
    await api(`/api/accounts/${encodeURIComponent(name)}`, { method: "DELETE" }).catch(tell);
    await refresh();
  };
  at("accounts").replaceChildren(...accounts.map((a) => row(a.name, a.role, el("button", { onclick: () => remove(a.name) }, "Remove"))));
  const day = (d) => row(new Date(1000 * d.day).toLocaleDateString(), d.answered, d.confirm, d.redraw, d.reject, `${Math.round((100 * (d.confirm + d.redraw)) / d.answered)} %`);
  at("agreement").replaceChildren(...agreement.map(day));
  at("audit").replaceChildren(...audit.map((a) => row(time(a.at), a.actor, a.action, a.object, a.outcome, a.address)));
}

await session();
at("new-account").addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.target;
  try {
    await api("/api/accounts", { method: "POST", json: Object.fromEntries(new FormData(form)) });
    form.reset();
    at("told").textContent = "";
    await refresh();
  } catch (error) {
    tell(error);
  }
});
await refresh().catch(tell);

import { api } from "/static/api.js";

const form = document.getElementById("form");
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = form.querySelector("button");
  button.disabled = true;
  try {
    const json = { name: form.querySelector("#name").value, password: form.querySelector("#password").value };
    await api("/api/session", { method: "POST", json });
    const next = new URLSearchParams(location.search).get("next") ?? "/";
    // Only a place of this service: "//other.example" and "https:" lead elsewhere.
    location.replace(/^\/(?![/\\])/.test(next) ? next : "/");
  } catch (error) {
    document.getElementById("told").textContent = error.message;
    button.disabled = false;
  }
});

// Sends files in pieces; a piece that fails is asked for again from where the service says it stopped.

import { api } from "/static/api.js";

const TRIES = 4;
const AT_ONCE = 4;

export async function upload(files, progress) {
  const total = files.reduce((sum, file) => sum + file.size, 0);
  const made = await api("/api/uploads", { method: "POST", json: { files: files.length, total_bytes: total } });
  let sent = 0;
  const queue = files.map((file, number) => [file, number]);
  const lane = async () => {
    for (let next = queue.shift(); next; next = queue.shift()) {
      await sendFile(made, ...next, (bytes) => progress((sent += bytes)));
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
  await api(`/api/uploads/${made.id}/finish`, { method: "POST" });
  return made.id;
}

async function sendFile(made, file, number, moved) {
  let offset = 0;
  const size = Math.min(made.piece_bytes, 8 * 2 ** 20);
  do {
    const piece = file.slice(offset, offset + size);
    await sendPiece(made.id, number, offset, piece);
    offset += piece.size;
    moved(piece.size);
  } while (offset < file.size);
}

async function sendPiece(id, number, offset, piece) {
  let from = 0;
  for (let tried = 1; ; tried++) {
    try {
      const path = `/api/uploads/${id}/files/${number}?offset=${offset + from}`;
      await api(path, { method: "PUT", body: piece.slice(from) });
      return;
    } catch (error) {
      const mayPass = error.status === 0 || error.status === 409 || error.status === 503;
      if (!mayPass || tried === TRIES) throw error;
      await new Promise((resolve) => setTimeout(resolve, 500 * 2 ** tried));
      const { received } = await api(`/api/uploads/${id}`);
      from = Math.min(piece.size, Math.max(0, (received[number] ?? 0) - offset));
      if (from === piece.size) return;
    }
  }
}

// The files of what was dropped, those within folders too.
export async function filesOf(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return [...transfer.files];
  return (await Promise.all(entries.map(filesBelow))).flat();
}

async function filesBelow(entry) {
  if (entry.isFile) return [await new Promise((resolve, reject) => entry.file(resolve, reject))];
  const reader = entry.createReader();
  const found = [];
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return found;
    found.push(...(await Promise.all(some.map(filesBelow))).flat());
  }
}

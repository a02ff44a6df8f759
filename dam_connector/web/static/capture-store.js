// Photos that wait to be sent, and small copies of all: in the browser's database, so that a reload loses none. Where
// it is off, e.g. in private windows, they are in memory.
const DATABASE = "captures";
const KEPT_MS = 14 * 86_400_000;
const request = (of) => new Promise((resolve, reject) => {
  of.onsuccess = () => resolve(of.result);
  of.onerror = () => reject(of.error);
});

export async function openStore(capture) {
  try {
    const opening = indexedDB.open(DATABASE, 1);
    opening.onupgradeneeded = () => {
      opening.result.createObjectStore("pending");
      opening.result.createObjectStore("previews");
    };
    const store = new DiskStore(await request(opening), capture);
    await store.forgetOld();
    return store;
  } catch {
    return new MemoryStore();
  }
}

// The keys of a capture begin with its id. Files are stored as bytes: not every browser stores a Blob well.
class DiskStore {
  constructor(database, capture) {
    this.database = database;
    this.keys = IDBKeyRange.bound(`${capture}:`, `${capture}:\uffff`);
    this.prefix = `${capture}:`;
  }

  objects(name) { return this.database.transaction(name, "readwrite").objectStore(name); }

  // Remove small copies of other captures, and photos that waited for longer than their draft can have lasted. Those of
  // another product wait for its page.
  async forgetOld() {
    for (const name of ["pending", "previews"]) {
      const others = (await request(this.objects(name).getAllKeys())).filter((key) => !key.startsWith(this.prefix));
      for (const key of others) {
        const entry = name === "pending" ? await request(this.objects(name).get(key)) : null;
        if (Date.now() - (entry?.at ?? 0) > KEPT_MS) await request(this.objects(name).delete(key));
      }
    }
  }

  async waiting() {
    const found = await request(this.objects("pending").getAllKeys(this.keys));
    const entries = [];
    for (const key of found) {
      const { bytes: _, ...entry } = await request(this.objects("pending").get(key));
      entries.push({ ...entry, key });
    }
    return entries;
  }

  async add(key, { file, ...entry }) {
    const bytes = await file.arrayBuffer();
    await request(this.objects("pending").put({ ...entry, bytes, type: file.type }, this.prefix + key));
    return this.prefix + key;
  }

  async change(key, changes) {
    const entry = await request(this.objects("pending").get(key));
    if (entry) await request(this.objects("pending").put({ ...entry, ...changes }, key));
  }

  async file(key) {
    const entry = await request(this.objects("pending").get(key));
    return entry ? new Blob([entry.bytes], { type: entry.type }) : null;
  }

  async remove(key) { await request(this.objects("pending").delete(key)); }

  async setPreview(name, blob) {
    const bytes = await blob.arrayBuffer();  // a transaction ends while something else is awaited
    await request(this.objects("previews").put(bytes, this.prefix + name));
  }

  async preview(name) {
    const bytes = await request(this.objects("previews").get(this.prefix + name));
    return bytes ? new Blob([bytes], { type: "image/jpeg" }) : null;
  }
}

class MemoryStore {
  constructor() {
    this.forgets = true;
    this.files = new Map();
    this.previews = new Map();
  }

  async waiting() { return []; }

  async add(key, { file }) {
    this.files.set(key, file);
    return key;
  }

  async change() { /* the list in capture.js is the only one */ }

  async file(key) { return this.files.get(key) ?? null; }

  async remove(key) { this.files.delete(key); }

  async setPreview(name, blob) { this.previews.set(name, blob); }

  async preview(name) { return this.previews.get(name) ?? null; }
}

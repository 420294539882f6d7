// The places where a page could leave a token: document, storage, address, history and variables.

// Returns the names of the places that contain `needle`.
export async function findTraces(page, needle) {
  const places = await page.evaluate(async (needle) => {
    const found = new Set();
    const look = (place, text) => {
      if (typeof text === 'string' && text.includes(needle)) found.add(place);
    };
    const searchTree = (root, place) => {
      look(place, new XMLSerializer().serializeToString(root));
      for (const element of root.querySelectorAll('*')) {
        look(`${place}: the value of ${element.localName}`, element.value);
        look(`${place}: the first value of ${element.localName}`, element.defaultValue);
        for (const key of Object.keys(element)) look(`${place}: a property of ${element.localName}`, String(element[key]));
        if (element.shadowRoot) searchTree(element.shadowRoot, `${place}, a shadow root`);
        if (element.content) look(`${place}: a template`, element.innerHTML);
      }
    };
    searchTree(document, 'document');
    look('text', document.body.innerText);
    look('title', document.title);
    for (const [name, storage] of [['localStorage', localStorage], ['sessionStorage', sessionStorage]]) {
      for (const [key, value] of Object.entries(storage)) look(name, `${key}\n${value}`);
    }
    look('cookie', document.cookie);
    look('address', location.href);
    look('window.name', window.name);
    look('referrer', document.referrer);
    look('history.state', JSON.stringify(history.state));
    for (const { name } of await indexedDB.databases()) found.add(`indexedDB ${name}`);
    if (window.caches) for (const name of await caches.keys()) found.add(`cache ${name}`);
    for (const worker of (await navigator.serviceWorker?.getRegistrations()) ?? []) found.add(`service worker ${worker.scope}`);
    for (const entry of performance.getEntries()) look('performance entry', entry.name);
    // Everything that a script reaches from its global object.
    const seen = new WeakSet();
    const reach = (value, place, depth) => {
      look(place, value);
      if (value === null || (typeof value !== 'object' && typeof value !== 'function') || seen.has(value) || depth > 6) return;
      seen.add(value);
      if (value instanceof Map || value instanceof Set) for (const item of value) reach(item, place, depth + 1);
      for (const key of Reflect.ownKeys(value)) {
        const { value: inner } = Reflect.getOwnPropertyDescriptor(value, key) ?? {};
        reach(inner, place, depth + 1);
      }
    };
    for (const key of Reflect.ownKeys(globalThis)) {
      const { value } = Reflect.getOwnPropertyDescriptor(globalThis, key) ?? {};
      reach(value, `variable ${String(key)}`, 0);
    }
    return [...found];
  }, needle);
  const client = await page.createCDPSession();
  const { entries } = await client.send('Page.getNavigationHistory');
  if (entries.some((entry) => JSON.stringify(entry).includes(needle))) places.push('history');
  const { cookies } = await client.send('Network.getCookies');
  if (JSON.stringify(cookies).includes(needle)) places.push('cookies');
  await client.detach();
  return places;
}

// Fails if the page has stored anything.
export async function assertNothingStored(page) {
  const stored = await page.evaluate(async () => ({
    local: localStorage.length,
    session: sessionStorage.length,
    cookie: document.cookie,
    databases: (await indexedDB.databases()).length,
    caches: (await caches.keys()).length,
    state: history.state,
    address: location.search + location.hash,
  }));
  const nothing = { local: 0, session: 0, cookie: '', databases: 0, caches: 0, state: null, address: '' };
  if (JSON.stringify(stored) !== JSON.stringify(nothing)) throw new Error(`stored: ${JSON.stringify(stored)}`);
}

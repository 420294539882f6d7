// A user of the page: finds elements by role and accessible name, clicks, types and reads.

import { Element } from './element.mjs';

const patience = 10_000;

// Without the marks that isolate the direction of writing, because users neither see nor hear them.
const plain = (text) => text.replace(/[\u2068\u2069]/g, '');

export class User {
  #client;

  constructor(page, client) {
    this.page = page;
    this.#client = client;
  }

  // All elements that assistive technology finds. It finds none that are hidden, or inert behind a dialog.
  async all(role, name = /(?:)/, within) {
    const root = within?.objectId ?? (await this.#evaluate('document')).objectId;
    const { nodes } = await this.#client.send('Accessibility.queryAXTree', { objectId: root, role });
    const found = [];
    for (const node of nodes) {
      const said = plain(node.name?.value ?? '').trim();
      const right = typeof name === 'string' ? said === name : name.test(said);
      if (node.ignored || !right || node.backendDOMNodeId === undefined) continue;
      const { object } = await this.#client.send('DOM.resolveNode', { backendNodeId: node.backendDOMNodeId, objectGroup: 'user' });
      const element = new Element(this.page, this.#client, object.objectId);
      element.role = role;
      element.name = said;
      element.described = node.description?.value ?? '';
      element.states = Object.fromEntries((node.properties ?? []).map((p) => [p.name, p.value.value]));
      found.push(element);
    }
    return found;
  }

  // Waits until exactly one element matches, and returns it.
  async find(role, name, within) {
    let found = [];
    const there = await this.until(async () => {
      found = await this.all(role, name, within);
      return found.length === 1;
    });
    if (!there) throw new Error(`${found.length} × ${role} ${name ?? ''}\n${await this.describe()}`);
    return found[0];
  }

  async waitUntilGone(role, name) {
    const gone = await this.until(async () => (await this.all(role, name)).length === 0);
    if (!gone) throw new Error(`${role} ${name ?? ''} is still there\n${await this.describe()}`);
  }

  async has(role, name) {
    return (await this.all(role, name)).length > 0;
  }

  // Polls until the condition holds; false if it never does.
  async until(condition, milliseconds = patience) {
    const end = Date.now() + milliseconds;
    for (;;) {
      try {
        if (await condition()) return true;
      } catch (error) {
        // The page replaced the element in between.
        if (!/Could not find|No node|Cannot find context|detached|not belong/i.test(error.message)) throw error;
      }
      if (Date.now() > end) return false;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  async click(role, name, within) {
    // An element that has just been drawn may move once more.
    let failure;
    const done = await this.until(async () => {
      const element = await this.find(role, name, within);
      if (element.states.disabled) {
        failure = new Error(`${role} ${name} is disabled`);
        return false;
      }
      try {
        await element.click();
      } catch (error) {
        failure = error;
        return false;
      }
      return true;
    }, 3000);
    if (!done) throw new Error(`${role} ${name}: ${failure?.message}\n${await this.describe()}`);
  }

  async fill(role, name, text, within) {
    await (await this.find(role, name, within)).fill(text);
  }

  async read(role, name, within) {
    return (await this.find(role, name, within)).read();
  }

  async choose(name, label) {
    await (await this.find('combobox', name)).choose(label);
  }

  // Waits until an alert matches, and returns its text.
  async alert(sentence) {
    let said = '';
    const there = await this.until(async () => {
      const alerts = await this.all('alert');
      said = plain((await Promise.all(alerts.map((a) => a.read()))).join('\n'));
      return sentence.test(said);
    });
    if (!there) throw new Error(`no alert says ${sentence}: ${JSON.stringify(said)}\n${await this.describe()}`);
    return said.trim();
  }

  // Waits until the text of the page matches.
  async waitForText(sentence) {
    let text = '';
    const there = await this.until(async () => {
      text = await this.text();
      return sentence.test(text);
    });
    if (!there) throw new Error(`the page does not show ${sentence}\n${text}`);
  }

  async text() {
    return plain(await this.page.evaluate(() => document.body.innerText));
  }

  // The rows of the list, as soon as `right` accepts them.
  async rows(right = () => true) {
    let rows = [];
    const there = await this.until(async () => {
      const [table] = await this.all('table');
      rows = table ? await table.rows() : [];
      return right(rows);
    });
    if (!there) throw new Error(`the rows are ${JSON.stringify(rows, null, 1).slice(0, 4000)}`);
    return rows;
  }

  async press(...keys) {
    for (const key of keys) await this.page.keyboard.press(key);
  }

  async shiftTab() {
    await this.page.keyboard.down('Shift');
    await this.page.keyboard.press('Tab');
    await this.page.keyboard.up('Shift');
  }

  // Role and name of the element with the focus.
  async focused() {
    const { objectId } = await this.#evaluate('document.activeElement ?? document.body');
    const { nodes } = await this.#client.send('Accessibility.getPartialAXTree', { objectId, fetchRelatives: false });
    return { role: nodes[0]?.role?.value ?? '', name: plain(nodes[0]?.name?.value ?? '').trim() };
  }

  // Presses Tab until this element has the focus; the error lists the elements on the way.
  async tabTo(role, name, { back = false, most = 60 } = {}) {
    const way = [];
    for (let i = 0; i <= most; i += 1) {
      const at = await this.focused();
      if (at.role === role && (typeof name === 'string' ? at.name === name : name.test(at.name))) return;
      way.push(`${at.role} ${at.name}`);
      if (back) await this.shiftTab();
      else await this.press('Tab');
    }
    throw new Error(`Tab does not lead to ${role} ${name}: ${way.join(' → ')}`);
  }

  // Releases the elements that were inspected, so that the heap no longer contains them.
  async releaseObjects() {
    await this.#client.send('Runtime.releaseObjectGroup', { objectGroup: 'user' });
  }

  // The elements on the page, for error messages.
  async describe() {
    try {
      const { nodes } = await this.#client.send('Accessibility.getFullAXTree');
      const roles = new Set(['heading', 'button', 'textbox', 'searchbox', 'combobox', 'radio', 'alert', 'dialog', 'alertdialog', 'status', 'table', 'Date', 'checkbox', 'link']);
      const lines = nodes
        .filter((n) => !n.ignored && roles.has(n.role?.value))
        .map((n) => `  ${n.role.value} ${JSON.stringify(n.name?.value ?? '')}`);
      return `the page has:\n${lines.slice(0, 60).join('\n')}`;
    } catch (error) {
      return `(${error.message})`;
    }
  }

  async #evaluate(expression) {
    const { result } = await this.#client.send('Runtime.evaluate', { expression, objectGroup: 'user' });
    return result;
  }
}

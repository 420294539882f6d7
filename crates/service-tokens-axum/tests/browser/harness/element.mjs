// One element, found by role and accessible name.

export class Element {
  #page;
  #client;
  #objectId;

  constructor(page, client, objectId) {
    this.#page = page;
    this.#client = client;
    this.#objectId = objectId;
  }

  get objectId() {
    return this.#objectId;
  }

  // Runs `fn` with the element as `this`.
  async call(fn, ...args) {
    const { result, exceptionDetails } = await this.#client.send('Runtime.callFunctionOn', {
      objectId: this.#objectId,
      functionDeclaration: `function (...args) { return (${fn}).apply(this, args) }`,
      arguments: args.map((value) => ({ value })),
      returnByValue: true,
      awaitPromise: true,
    });
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
    return result.value;
  }

  // The value of a field, or the text of any other element.
  read() {
    return this.call(function () {
      return this instanceof HTMLSelectElement ? (this.selectedOptions[0]?.label ?? '') : (this.value || this.innerText);
    });
  }

  // Clicks with the mouse where the element is drawn; fails if another element covers it.
  async click() {
    const point = await this.call(function () {
      this.scrollIntoView({ block: 'nearest', inline: 'nearest' });
      // A radio button may be drawn by its label.
      for (const target of [this, ...(this.labels ?? [])]) {
        for (const box of target.getClientRects()) {
          const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
          const top = document.elementFromPoint(x, y);
          if (top && (target === top || target.contains(top) || [...(top.labels ?? [])].includes(target))) return { x, y };
        }
      }
      return null;
    });
    if (!point) throw new Error('it cannot be clicked: nothing is drawn, or something lies above it');
    await this.#page.mouse.click(point.x, point.y);
  }

  // Replaces the text of a field, as by pasting.
  async fill(text) {
    await this.call(function () {
      this.scrollIntoView({ block: 'nearest' });
      this.focus();
      this.select?.();
    });
    if (text === '') await this.#page.keyboard.press('Backspace');
    else await this.#page.keyboard.sendCharacter(text);
  }

  // The option with this label, as if it had been picked.
  choose(label) {
    return this.call(function (label) {
      const option = [...this.options].find((o) => o.label.trim() === label || o.value === label);
      if (!option) throw new Error(`no option ${label}; there are ${[...this.options].map((o) => o.label)}`);
      this.focus();
      this.value = option.value;
      this.dispatchEvent(new Event('input', { bubbles: true }));
      this.dispatchEvent(new Event('change', { bubbles: true }));
    }, label);
  }

  options() {
    return this.call(function () {
      return [...this.options].map((o) => o.label.trim());
    });
  }

  property(name) {
    return this.call(function (name) {
      const value = this[name];
      return typeof value === 'object' ? null : value;
    }, name);
  }

  attribute(name) {
    return this.call(function (name) {
      return this.getAttribute(name);
    }, name);
  }

  // A table's rows, by the words of its column heads.
  rows() {
    return this.call(function () {
      const heads = [...this.querySelectorAll('thead th')].map((th) => th.textContent.trim());
      return [...this.tBodies].flatMap((body) => [...body.rows]).map((row) => {
        const cells = [...row.cells];
        return Object.fromEntries(heads.map((head, i) => [head, (cells[i]?.innerText ?? '').trim()]));
      });
    });
  }
}

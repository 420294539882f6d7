// The parts of the page. They are copies of the templates in the document, filled through textContent.
// So a text from the server is never parsed as markup.

/** Copies the template with this id. Returns its root element, and its parts by their `data-part`. */
function stamp(id) {
  const content = document.getElementById(id).content.cloneNode(true);
  const parts = { root: content.firstElementChild };
  for (const node of content.querySelectorAll('[data-part]')) parts[node.dataset.part] = node;
  return parts;
}

/** Creates an element with these contents, which are texts or nodes. */
function make(name, className, ...contents) {
  const node = document.createElement(name);
  if (className) node.className = className;
  node.append(...contents);
  return node;
}

/** Shows this text in an element. The element is hidden if the text is empty. */
function say(element, text) {
  element.textContent = text;
  element.hidden = !text;
}

/** An element that isolates the writing direction of a user's text. */
function isolated(text) {
  return make('bdi', '', text);
}

/** The same isolation for attributes such as aria-label, which cannot contain elements. */
function isolate(text) {
  return `\u2068${text}\u2069`;
}

function capitalised(word) {
  return word.charAt(0).toUpperCase() + word.slice(1);
}

/** Creates a radio button with its label. */
function choice(name, value, contents, { checked = false, disabled = false } = {}) {
  const { root, text } = stamp('choice');
  const input = root.querySelector('input');
  Object.assign(input, { name, value, checked, disabled });
  text.append(...contents);
  return root;
}

/** Copies the text of this field, also if the page is not a secure context. */
async function copyField(field) {
  try {
    await navigator.clipboard.writeText(field.value);
    return true;
  } catch {
    // The Clipboard API is not available or not allowed, so the page selects and copies the field.
  }
  const focused = document.activeElement;
  field.focus();
  field.select();
  if (!document.execCommand('copy')) return false;
  focused?.focus();
  return true;
}

/** Copies a text through a temporary field. */
async function copyText(text) {
  const field = make('textarea', 'unseen');
  field.readOnly = true;
  field.value = text;
  document.body.append(field);
  const copied = await copyField(field);
  field.remove();
  return copied;
}

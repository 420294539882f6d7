// The parts of the page: everything is stamped out of the templates in the document and filled with
// textContent, so that no text from the server is ever read as markup.

/** A copy of the template with this id: its root element, and its parts by their `data-part`. */
function stamp(id) {
  const content = document.getElementById(id).content.cloneNode(true);
  const parts = { root: content.firstElementChild };
  for (const node of content.querySelectorAll('[data-part]')) parts[node.dataset.part] = node;
  return parts;
}

/** An element with these contents: text, or other nodes. */
function make(name, className, ...contents) {
  const node = document.createElement(name);
  if (className) node.className = className;
  node.append(...contents);
  return node;
}

/** Shows this text in an element that is hidden while it has none. */
function say(element, text) {
  element.textContent = text;
  element.hidden = !text;
}

/** Text of others, whatever its direction. */
function isolated(text) {
  return make('bdi', '', text);
}

/** The same where no element can stand, as in a label. */
function isolate(text) {
  return `\u2068${text}\u2069`;
}

function capitalised(word) {
  return word.charAt(0).toUpperCase() + word.slice(1);
}

/** One radio button with its label. */
function choice(name, value, contents, { checked = false, disabled = false } = {}) {
  const { root, text } = stamp('choice');
  const input = root.querySelector('input');
  Object.assign(input, { name, value, checked, disabled });
  text.append(...contents);
  return root;
}

/** Copies the text of this field, also where the page is no secure context. */
async function copyField(field) {
  try {
    await navigator.clipboard.writeText(field.value);
    return true;
  } catch {
    // No secure context, or not allowed: as a person would do it.
  }
  const focused = document.activeElement;
  field.focus();
  field.select();
  if (!document.execCommand('copy')) return false;
  focused?.focus();
  return true;
}

/** Copies a text that stands in no field. */
async function copyText(text) {
  const field = make('textarea', 'unseen');
  field.readOnly = true;
  field.value = text;
  document.body.append(field);
  const copied = await copyField(field);
  field.remove();
  return copied;
}

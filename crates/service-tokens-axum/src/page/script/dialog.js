// Dialogs: modal, one at a time, each stamped anew and gone from the document when it closes.

/** Closes what is open, without asking; nothing that only the person may close. */
let closeOpen = null;

function closeDialogs() {
  closeOpen?.();
}

/**
 * Opens a dialog. `leave` is called when the person wants to leave (Escape, or a button) and decides
 * what becomes of that; `closing` and `closed` before and after it is gone, whatever the way. One
 * that is `kept` holds what cannot be shown again: nothing but the person closes it.
 */
function openDialog(dialog, { leave, closing, closed, kept = false }) {
  closeDialogs();
  let open = true;
  const close = () => {
    if (!open) return;
    open = false;
    if (closeOpen === close) closeOpen = null;
    closing?.();
    dialog.close();
    dialog.remove();
    closed?.();
  };
  if (!kept) closeOpen = close;
  // A browser lets a page refuse Escape itself always, and the cancel event only once.
  dialog.addEventListener('keydown', (event) => {
    if (event.key !== 'Escape' || event.isComposing) return;
    event.preventDefault();
    leave(close);
  });
  dialog.addEventListener('cancel', (event) => {
    if (event.target !== dialog) return;
    event.preventDefault();
    leave(close);
  });
  dialog.addEventListener('close', () => {
    if (!kept) return close();
    if (!open) return;
    dialog.showModal();
    leave(close);
  });
  document.body.append(dialog);
  dialog.showModal();
  return close;
}

/**
 * A dialog with a form that asks the server something. While it waits, the form says so and leaving
 * means to stop waiting. `send(signal)` does the asking, `failed(failure)` gives a sentence.
 */
function openForm(parts, { busyText, send, failed, closed }) {
  const { root, form, alert, busy, submit, cancel } = parts;
  let waiting = null;
  const leave = (close) => (waiting ? waiting.abort() : close());
  const close = openDialog(root, {
    leave,
    closed() {
      waiting?.abort();
      closed?.();
    },
  });
  cancel.addEventListener('click', () => leave(close));
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    if (waiting) return;
    waiting = new AbortController();
    const { signal } = waiting;
    say(alert, '');
    busy.textContent = busyText;
    submit.setAttribute('aria-disabled', 'true');
    try {
      await send(signal, close);
    } catch (error) {
      // Leaving ended the waiting: the answer is lost as if the connection had broken.
      const stopped = error instanceof Overtaken && root.isConnected;
      if (error instanceof Failure || stopped) {
        say(alert, failed(stopped ? new Failure(0) : error));
        alert.scrollIntoView({ block: 'nearest' });
      } else if (!(error instanceof Overtaken)) {
        throw error;
      }
    } finally {
      waiting = null;
      busy.textContent = '';
      submit.removeAttribute('aria-disabled');
    }
  });
  return close;
}

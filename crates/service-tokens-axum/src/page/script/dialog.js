// Modal dialogs. One is open at a time. Each is a new copy of its template, and is removed when it closes.

/** Closes the open dialog without a question. It is null if the dialog is personal. */
let closeOpen = null;

function closeDialogs() {
  closeOpen?.();
}

/**
 * Opens a dialog. `leave` is called when the person wants to leave through Escape or a button, and decides
 * whether to close. `closing` runs before the dialog is removed and `closed` after that, in every case. A
 * `personal` dialog shows something that cannot be shown again, so only the person can close it.
 */
function openDialog(dialog, { leave, closing, closed, personal = false }) {
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
  if (!personal) closeOpen = close;
  // A page can always prevent the Escape key, but browsers let it prevent the cancel event only once.
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
    if (!personal) return close();
    if (!open) return;
    dialog.showModal();
    leave(close);
  });
  document.body.append(dialog);
  dialog.showModal();
  return close;
}

/**
 * Opens a dialog with a form that sends a request. While it waits, the form shows this, and leaving stops
 * the wait. `send(signal)` sends the request, and `failed(failure)` returns a sentence about a failure.
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
      // Leaving stopped the wait, so the answer is lost as after a broken connection.
      const aborted = error instanceof Outdated && root.isConnected;
      if (error instanceof Failure || aborted) {
        say(alert, failed(aborted ? new Failure(0) : error));
        alert.scrollIntoView({ block: 'nearest' });
      } else if (!(error instanceof Outdated)) {
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

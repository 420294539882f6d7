// Chromium, and windows that record the errors and requests of the page.

import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import puppeteer from 'puppeteer-core';

import { User } from './user.mjs';

// A host name for this machine that is not a secure context, like a host on a local network.
export const plainHost = 'tokens.test';

export async function chromium() {
  const profile = await mkdtemp(join(tmpdir(), 'service-tokens-chromium-'));
  const browser = await puppeteer.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    headless: true,
    userDataDir: profile,
    protocolTimeout: 60_000,
    args: [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--disable-dev-shm-usage',
      '--lang=en-US',
      `--host-resolver-rules=MAP ${plainHost} 127.0.0.1`,
      // Heap snapshots cut strings at 1,024 characters by default.
      '--js-flags=--heap-snapshot-string-limit=10000000',
    ],
  });
  return {
    browser,
    close: async () => {
      await browser.close();
      await rm(profile, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

// A browser window with its own storage.
export class Visit {
  #context;
  #expected = [];
  #complaints = [];
  requests = [];

  static async begin(browser, { width = 1280, height = 900, scale = 1 } = {}) {
    const visit = new Visit();
    visit.#context = await browser.createBrowserContext();
    visit.page = await visit.#context.newPage();
    await visit.page.setViewport({ width, height, deviceScaleFactor: scale });
    await visit.page.bringToFront();
    visit.client = await visit.page.createCDPSession();
    visit.user = new User(visit.page, visit.client);
    visit.#record();
    return visit;
  }

  #record() {
    const { page } = this;
    page.on('console', (message) => {
      if (['error', 'warn'].includes(message.type())) this.#complaints.push(`console: ${message.text()}`);
    });
    page.on('pageerror', (error) => this.#complaints.push(`page error: ${error.stack ?? error.message}`));
    page.on('error', (error) => this.#complaints.push(`crash: ${error.message}`));
    page.on('request', (request) => this.requests.push(request));
    page.on('requestfailed', (request) => {
      const why = request.failure()?.errorText ?? '';
      // The page aborts requests whose answer it no longer needs.
      if (why !== 'net::ERR_ABORTED') this.#complaints.push(`failed: ${request.method()} ${new URL(request.url()).pathname} ${why}`);
    });
    page.on('dialog', async (dialog) => {
      if (dialog.type() !== 'beforeunload') this.#complaints.push(`a dialog of the browser: ${dialog.message()}`);
      await dialog.accept();
    });
  }

  async open(address) {
    this.origin = new URL(address).origin;
    await this.page.goto(address, { waitUntil: 'load' });
  }

  // Allows the errors that the test provokes.
  expect(...complaints) {
    this.#expected.push(...complaints);
  }

  // Fails on an unexpected console error, policy violation or failed request, and on a request to another
  // host.
  assertClean() {
    const unexpected = this.#complaints.filter((c) => !this.#expected.some((e) => e.test(c)));
    assert.deepEqual(unexpected, [], 'the browser reported errors');
    const elsewhere = this.requests.map((r) => r.url()).filter((url) => /^(https?|wss?|ftp):/.test(url) && !url.startsWith(`${this.origin}/`));
    assert.deepEqual(elsewhere, [], 'requests to other hosts');
  }

  // Answers requests instead of the service. `answer` returns the answer, 'lost' to break the connection,
  // or null to pass the request on. Returns a function that stops this.
  async intercept(answer) {
    const { page } = this;
    await page.setRequestInterception(true);
    const step = async (request) => {
      const said = await answer(request);
      if (said === 'lost') await request.abort('connectionreset');
      else if (said) await request.respond(said);
      else await request.continue();
    };
    page.on('request', step);
    return async () => {
      page.off('request', step);
      await page.setRequestInterception(false);
    };
  }

  // Delays the requests of this method and path. Returns a function that passes them on, or answers them
  // instead of the service.
  async hold(method, path) {
    let release;
    let held = new Promise((resolve) => (release = resolve));
    await this.intercept((request) => request.method() === method && new URL(request.url()).pathname === path && held);
    return (answer) => {
      held = null;
      release(answer);
    };
  }

  // Returns the text that Ctrl+V inserts into an empty field of another page.
  async paste() {
    const page = await this.#context.newPage();
    try {
      await page.setContent('<textarea></textarea>');
      await page.bringToFront();
      await page.focus('textarea');
      await page.keyboard.down('Control');
      await page.keyboard.press('v', { commands: ['Paste'] });
      await page.keyboard.up('Control');
      return await page.$eval('textarea', (field) => field.value);
    } finally {
      await page.close();
      await this.page.bringToFront();
    }
  }

  async end() {
    await this.#context.close();
  }
}
